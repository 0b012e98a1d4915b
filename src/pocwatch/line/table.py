"""The automaton as the C side reads it: one binary file, and the C declaration of its layout.

Everything that `plugin/pending.c` must know about operations is in the file, computed from the same
functions that `pending` uses, so that C states no rule of its own.
"""

from __future__ import annotations

import ctypes
import functools

from pocwatch import cdecl
from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind
from pocwatch.line import pending
from pocwatch.line.automaton import MAINTENANCE_EVENT, Automaton, Event, Stale, build
from pocwatch.platforms import Platform

MAGIC = b"PWTABLE"
VERSION = 1
MAX_STATES = 255
WIDTH = 256
MAX_OPS = 32
NO_EVENT = 0xFF
LOST = 8  # output bit: no maintenance can make every kind of read fresh again


class Table(ctypes.LittleEndianStructure):
    """The file. Rows are indexed by state, `[fill][event][state]`; `by_op` by `arch.ops.Op`."""

    _pack_ = 1
    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("states", ctypes.c_uint32),
        ("pes", ctypes.c_uint32),
        ("dic", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 7),
        ("delta", ctypes.c_uint8 * WIDTH * len(Event) * 2),
        ("stale", ctypes.c_uint8 * WIDTH * 2),  # automaton.Stale, and LOST
        ("read_stale", ctypes.c_uint8 * 4),  # by Kind: the outputs that a read looks at
        ("fetch_stale", ctypes.c_uint8 * 4),
        ("event", ctypes.c_uint8 * MAX_OPS),  # of an operation taking effect, or NO_EVENT
        ("idle", ctypes.c_uint8 * MAX_OPS),  # pending.without_effect
        ("discards", ctypes.c_uint8 * MAX_OPS),
        ("supersedes", ctypes.c_uint8 * MAX_OPS * MAX_OPS),  # [new][old], pending.supersedes
        ("covers", ctypes.c_uint8 * MAX_OPS * MAX_OPS),  # [earlier][new], pending.covers
    )


@functools.cache
def lost_states(automaton: Automaton) -> frozenset[int]:
    """Return the states from which no maintenance makes every kind of read fresh again.

    The latest data may be gone: overwritten by an older dirty line, or discarded.
    """
    every = Stale.WB | Stale.NC | Stale.POU
    mendable = {
        s for s in range(automaton.states) if not any(row[s] & every for row in automaton.stale)
    }
    events = sorted(set(MAINTENANCE_EVENT.values()))
    while True:
        more = {
            s
            for s in range(automaton.states)
            if s not in mendable
            and any(automaton.delta[1][event][s] in mendable for event in events)
        }
        if not more:
            return frozenset(range(automaton.states)) - mendable
        mendable |= more


def fetched_as(kind: Kind) -> tuple[Kind, ...]:
    """Return the fetch kinds of the model that a fetch with these attributes may amount to.

    Write-Through fetches (stage 1 off, SCTLR_ELx.I set) may be implemented as either: facts A9, C18.
    """
    if kind is Kind.WT:
        return (Kind.WB, Kind.NC)
    return (Kind.WB,) if kind is Kind.WB else (Kind.NC,)


@functools.cache
def automaton_of(platform: Platform) -> Automaton:
    """Return the platform's automaton, computed once per process."""
    return build(platform)


def binary(platform: Platform) -> bytes:
    """Return the table file of a platform."""
    automaton = automaton_of(platform)
    if automaton.states > MAX_STATES:
        raise ValueError(f"{platform.name}: {automaton.states} states: at most {MAX_STATES}")
    table = Table(magic=MAGIC, version=VERSION, size=ctypes.sizeof(Table))
    table.states, table.pes, table.dic = automaton.states, platform.pes, platform.dic
    lost = lost_states(automaton)
    for fill in (0, 1):
        for event in Event:
            table.delta[fill][event][: automaton.states] = automaton.delta[fill][event]
        table.stale[fill][: automaton.states] = [
            int(flags) | (LOST if state in lost else 0)
            for state, flags in enumerate(automaton.stale[fill])
        ]
    for kind in Kind:
        table.read_stale[kind] = sum(f for f in Stale if f.of_read(kind))
        table.fetch_stale[kind] = sum(
            f for f in Stale if any(f.of_fetch(k) for k in fetched_as(kind))
        )
    table.event[:] = [NO_EVENT] * MAX_OPS
    for op in (*DATA_MAINTENANCE, *OUTER_MAINTENANCE):
        table.event[op] = MAINTENANCE_EVENT[op]
    for op in DATA_MAINTENANCE:
        table.idle[op] = pending.without_effect(platform, op)
        table.discards[op] = not DATA_MAINTENANCE[op].clean
        for other in DATA_MAINTENANCE:
            table.supersedes[op][other] = pending.supersedes(platform, op, other)
            table.covers[op][other] = pending.covers(platform, op, other)
    return bytes(table)


def c_declarations() -> str:
    """Return the C declarations of the table file."""
    lines = [
        f'#define PW_TABLE_MAGIC "{MAGIC.decode()}"',
        f"#define PW_TABLE_VERSION {VERSION}",
        f"#define PW_NO_EVENT {NO_EVENT:#x}",
        f"#define PW_STALE_LOST {LOST}",
        *cdecl.enumeration("PW_EVENT", Event)[:-1],
        f"    PW_EVENTS = {len(Event)},",
        "};",
        *cdecl.structure("pw_table", Table),
    ]
    return "\n".join(lines) + "\n"
