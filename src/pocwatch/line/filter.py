"""Which accesses a recording can leave out: one automaton over the states of all platforms at once.

A recording is judged later on any of several platforms, with maintenance dropped or weakened at will.
So a cell may be in several states: in this one on that platform, had that operation been dropped. The
states here are the sets of those, as pairs (platform, state); steps take every member along. What
leaves all members where they are, and is fresh in all of them, need not be recorded.

Sets err on the side of too many members: cells of a line are followed apart, operations in flight may
have acted at any time and in any weaker form. The instruction side is not here (`plugin/recorder.c`
follows it without a table), nor is what makes an operation redundant.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pocwatch import cdecl
from pocwatch.line.automaton import Automaton, Event, Stale
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform

MAGIC = b"PWFILTR"
VERSION = 1
MAX_STATES = 65_535


class Move(enum.IntEnum):
    """What happens to a cell. Columns of the filter.

    `HEALED`: another cell of the line may have been read stale. `OUTER`: an outer-cache controller did
    something; then all is possible, as no machine that is recorded has one, and following its
    operations would take twenty times the states.
    """

    ST_WB = 0
    ST_WB_NEIGHBOUR = 1
    ST_NC = 2
    ST_WT = 3
    WR_COHERENT = 4
    LD_CACHED = 5
    CLOSE = 6
    BY_VA = 7
    BY_VA_INVALIDATE = 8
    BY_SET_WAY = 9
    BY_SET_WAY_INVALIDATE = 10
    READ_WB = 11
    READ_NC = 12
    READ_WT = 13
    HEALED = 14
    OUTER = 15


CERTAIN: dict[Move, Event] = {
    move: Event[move.name] for move in Move if move.name in Event.__members__
}
"""Events that happen in every world."""

_CLEANS = (Event.CVAU, Event.CVAC, Event.CIVAC)
MAINTENANCE: dict[Move, tuple[Event, ...]] = {
    Move.BY_VA: _CLEANS,
    Move.BY_VA_INVALIDATE: (*_CLEANS, Event.IVAC),
    Move.BY_SET_WAY: (Event.CSW, Event.CISW),
    Move.BY_SET_WAY_INVALIDATE: (Event.CSW, Event.CISW, Event.ISW),
}
"""What an operation may turn out to be: dropped, weakened, acting now or later, once or again."""

READS: dict[Move, Stale] = {
    Move.READ_WB: Stale.WB,
    Move.READ_NC: Stale.NC,
    Move.READ_WT: Stale.WB | Stale.NC,
}
"""Reads that are stale for some member: reported there, and the line then counts as coherent."""


class Flag(enum.IntFlag):
    """What is said of a state: what moves no member, and who may read a stale value in some."""

    LOAD_STAYS = 1 << 0
    ST_WB_STAYS = 1 << 1
    NEIGHBOUR_STAYS = 1 << 2
    ST_NC_STAYS = 1 << 3
    ST_WT_STAYS = 1 << 4
    BY_VA_STAYS = 1 << 5
    STALE_WB = 1 << 6
    STALE_NC = 1 << 7
    STALE_POU = 1 << 8
    SINGLE = 1 << 9  # one member for each table


_STAYS: dict[Flag, tuple[Event, ...]] = {
    Flag.LOAD_STAYS: (Event.LD_CACHED,),
    Flag.ST_WB_STAYS: (Event.ST_WB,),
    Flag.NEIGHBOUR_STAYS: (Event.ST_WB_NEIGHBOUR,),
    Flag.ST_NC_STAYS: (Event.ST_NC,),
    Flag.ST_WT_STAYS: (Event.ST_WT,),
    Flag.BY_VA_STAYS: _CLEANS,
}
_STALE: dict[Flag, Stale] = {
    Flag.STALE_WB: Stale.WB,
    Flag.STALE_NC: Stale.NC,
    Flag.STALE_POU: Stale.POU,
}


class FilterError(ValueError):
    """Platforms that cannot be recorded for at once; the message is for the user."""


class Header(ctypes.LittleEndianStructure):
    """What a filter file starts with; then `Row[2][states]`, indexed by fill switch and state."""

    _pack_ = 1
    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("row_size", ctypes.c_uint32),  # bytes
        ("states", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class Row(ctypes.LittleEndianStructure):
    """A state with one position of the fill switch. State 0 is the start."""

    _pack_ = 1
    _fields_ = (
        ("next", ctypes.c_uint16 * len(Move)),
        ("flags", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """The automaton: `sets[state]`, `next[fill][state][move]`, `flags[fill][state]`.

    Members are numbers: those of the states of one distinct table after the other.
    """

    tables: tuple[Automaton, ...]
    sets: tuple[frozenset[int], ...]
    next: tuple[tuple[tuple[int, ...], ...], ...]
    flags: tuple[tuple[Flag, ...], ...]


def distinct(platforms: Iterable[Platform]) -> tuple[Automaton, ...]:
    """Return the platforms' automata, equal ones once."""
    found: dict[object, Automaton] = {}
    for platform in platforms:
        automaton = automaton_of(platform)
        found.setdefault((automaton.delta, automaton.stale), automaton)
    return tuple(found.values())


class _Sets:
    """Sets of (platform, state) as bit masks, with every step tabulated member by member."""

    def __init__(self, tables: Sequence[Automaton]) -> None:
        offsets = [0]
        for table in tables:
            offsets.append(offsets[-1] + table.states)
        self.tables = len(tables)
        self.starts = sum(1 << offset for offset in offsets[:-1])
        self.every = (1 << offsets[-1]) - 1
        self.images = [
            {
                event: [
                    1 << (offset + after)
                    for table, offset in zip(tables, offsets, strict=False)
                    for after in table.delta[fill][event]
                ]
                for event in Event
            }
            for fill in (0, 1)
        ]
        self.stale = [[flag for table in tables for flag in table.stale[fill]] for fill in (0, 1)]

    def closure(self, mask: int, events: Sequence[Event], fill: int) -> int:
        images = [self.images[fill][event] for event in events]
        todo = mask
        while todo:
            more = 0
            for member in members(todo):
                for image in images:
                    more |= image[member]
            todo = more & ~mask
            mask |= more
        return mask

    def step(self, mask: int, move: Move, fill: int) -> int:
        if move in CERTAIN:
            image = self.images[fill][CERTAIN[move]]
            return _union(image[member] for member in members(mask))
        if move in MAINTENANCE:
            return self.closure(mask, MAINTENANCE[move], fill)
        if move in READS:
            stale, looked_at = self.stale[fill], READS[move]
            return self.starts | _union(
                1 << member for member in members(mask) if not stale[member] & looked_at
            )
        return mask | self.starts if move is Move.HEALED else self.every

    def flags(self, mask: int, fill: int) -> Flag:
        flags = Flag(0)
        for flag, events in _STAYS.items():
            images = [self.images[fill][event] for event in events]
            if all(image[member] == 1 << member for member in members(mask) for image in images):
                flags |= flag
        for flag, stale in _STALE.items():
            if any(self.stale[fill][member] & stale for member in members(mask)):
                flags |= flag
        if mask.bit_count() == self.tables:  # every set has one at least
            flags |= Flag.SINGLE
        return flags


def members(mask: int) -> Iterable[int]:
    """Yield the members of a set that is a bit mask."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def build(platforms: Sequence[Platform]) -> Filter:
    """Return the filter of some platforms. Raises FilterError if it has too many states."""
    tables = distinct(platforms)
    sets = _Sets(tables)
    numbers = {sets.starts: 0}
    order = [sets.starts]
    rows: list[list[list[int]]] = [[], []]
    for mask in order:  # grows while it is walked
        for fill in (0, 1):
            row = []
            for move in Move:
                after = sets.step(mask, move, fill)
                if after not in numbers:
                    numbers[after] = len(order)
                    order.append(after)
                row.append(numbers[after])
            rows[fill].append(row)
        if len(order) > MAX_STATES:
            names = ", ".join(platform.name for platform in platforms)
            raise FilterError(
                f"platforms {names}: following them all at once takes more than {MAX_STATES} "
                "states, and a recording can use no more; record for fewer platforms"
            )
    return Filter(
        tables=tables,
        sets=tuple(frozenset(members(mask)) for mask in order),
        next=tuple(tuple(tuple(row) for row in of_fill) for of_fill in rows),
        flags=tuple(tuple(sets.flags(mask, fill) for mask in order) for fill in (0, 1)),
    )


def binary(platforms: Sequence[Platform]) -> bytes:
    """Return the filter file of some platforms. Raises FilterError."""
    built = build(platforms)
    header = Header(
        magic=MAGIC, version=VERSION, row_size=ctypes.sizeof(Row), states=len(built.sets)
    )
    rows = (Row * len(built.sets) * 2)()
    for fill in (0, 1):
        for state, row in enumerate(built.next[fill]):
            rows[fill][state].next[:] = row
            rows[fill][state].flags = built.flags[fill][state]
    return bytes(header) + bytes(rows)


def c_declarations() -> str:
    """Return the C declarations of the filter file."""
    lines = [
        f'#define PW_FILTER_MAGIC "{MAGIC.decode()}"',
        f"#define PW_FILTER_VERSION {VERSION}",
        *cdecl.enumeration("PW_MOVE", Move),
        *cdecl.enumeration("PW_FILTER", Flag),
        *cdecl.structure("pw_filter_header", Header),
        *cdecl.structure("pw_filter_row", Row),
    ]
    return "\n".join(lines) + "\n"
