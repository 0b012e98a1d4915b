"""What is counted: one record that the reference and the compiled kernel both fill.

Every event counts for the PE whose access or operation caused it, also when it happens in a shared or
another PE's cache. Cache 0 is the L1I, cache 1 + i the platform's level i.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.platforms import MAX_LEVELS, Platform

MAX_PES = 64
MAX_OPS = 32
MAX_CACHES = 1 + MAX_LEVELS


class Use(enum.IntEnum):
    """Why a cache is looked up."""

    LOAD = 0
    STORE = 1
    FETCH = 2
    WALK = 3
    ZVA = 4


class Cause(enum.IntEnum):
    """Why a dirty copy is written back."""

    EVICTION = 0  # its way was needed
    MAINTENANCE = 1
    SNOOP = 2  # another PE, or the instruction side, asked for the line


class Outcome(enum.IntEnum):
    """What an operation found in a cache, before it acted."""

    MISS = 0
    CLEAN = 1
    DIRTY = 2


class CacheCounts(ctypes.LittleEndianStructure):
    """One cache, as one PE used it. Arrays are by Use, `write_backs` by Cause."""

    _fields_ = (
        ("hits", ctypes.c_uint64 * len(Use)),
        ("misses", ctypes.c_uint64 * len(Use)),
        ("induced", ctypes.c_uint64 * len(Use)),  # misses on a line last removed by maintenance
        ("fills", ctypes.c_uint64),  # lines put in, also by a write-back from the level before
        ("evictions", ctypes.c_uint64),  # lines replaced, clean and dirty
        ("write_backs", ctypes.c_uint64 * len(Cause)),  # dirty copies that left for the next level
        ("invalidated", ctypes.c_uint64),  # copies that another PE's store removed
        ("removed", ctypes.c_uint64),  # copies that maintenance removed
        ("discarded", ctypes.c_uint64),  # of these, dirty and not cleaned
    )


class PeCounts(ctypes.LittleEndianStructure):
    """One PE. `memory_reads`, `induced_reads`, `uncached` are by Use, `memory_writes` by Cause."""

    _fields_ = (
        ("caches", CacheCounts * MAX_CACHES),
        ("memory_reads", ctypes.c_uint64 * len(Use)),  # lines
        (
            "induced_reads",
            ctypes.c_uint64 * len(Use),
        ),  # of these, after an induced miss in any cache
        ("memory_writes", ctypes.c_uint64 * len(Cause)),  # lines written back
        ("uncached", ctypes.c_uint64 * len(Use)),  # accesses that go past the caches
        ("redirtied", ctypes.c_uint64),  # stores to a line that maintenance had cleaned since
    )


class OpCounts(ctypes.LittleEndianStructure):
    """One operation, all PEs. `found` is by cache, the last row for all caches together."""

    _fields_ = (
        ("issued", ctypes.c_uint64),
        ("found", (ctypes.c_uint64 * len(Outcome)) * (MAX_CACHES + 1)),
    )


class Counts(ctypes.LittleEndianStructure):
    """Everything. `ops` is by `arch.ops.Op`."""

    _fields_ = (
        ("accesses", ctypes.c_uint64),  # records
        ("pes", PeCounts * MAX_PES),
        ("ops", OpCounts * MAX_OPS),
    )


ANYWHERE = MAX_CACHES
"""Row of `OpCounts.found`: the worst that any cache held."""

STRUCTURES = (CacheCounts, PeCounts, OpCounts, Counts)


def _plain(value: Any) -> Any:
    if isinstance(value, ctypes.Array):
        return [_plain(each) for each in value]
    if isinstance(value, ctypes.Structure):
        return {field[0]: _plain(getattr(value, field[0])) for field in value._fields_}
    return value


def _named(counters: Any, names: type[enum.IntEnum]) -> dict[str, int]:
    return {each.name.lower(): counters[each] for each in names}


def _cache(counts: CacheCounts) -> dict[str, Any]:
    plain = _plain(counts)
    for key, names in (("hits", Use), ("misses", Use), ("induced", Use), ("write_backs", Cause)):
        plain[key] = _named(plain[key], names)
    return dict(plain)


def names(platform: Platform) -> list[str]:
    """Return the caches' names in the order of the counters."""
    return ["L1I", *(level.name for level in platform.levels)]


def data(counts: Counts, platform: Platform) -> dict[str, Any]:
    """Return the counts as dictionaries with names for keys, as JSON takes them."""
    caches = names(platform)
    return {
        "accesses": counts.accesses,
        "pes": [
            {
                "caches": {name: _cache(pe.caches[i]) for i, name in enumerate(caches)},
                "memory_reads": _named(pe.memory_reads, Use),
                "induced_reads": _named(pe.induced_reads, Use),
                "memory_writes": _named(pe.memory_writes, Cause),
                "uncached": _named(pe.uncached, Use),
                "redirtied": pe.redirtied,
            }
            for pe in list(counts.pes)[: platform.pes]
        ],
        "maintenance": {
            op.spelling: {
                "issued": counts.ops[op].issued,
                "found": {
                    name: _named(counts.ops[op].found[row], Outcome)
                    for row, name in [*enumerate(caches), (ANYWHERE, "anywhere")]
                    if any(counts.ops[op].found[row])
                },
            }
            for op in Op
            if counts.ops[op].issued
        },
    }
