"""The caches of a platform as the simulators take them, and which caches an operation reaches."""

from __future__ import annotations

import ctypes
from collections.abc import Collection

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, By, Op, Point
from pocwatch.cost.cachesim.counts import MAX_OPS
from pocwatch.platforms import MAX_LEVELS, Platform
from pocwatch.platforms.geometry import Geometry, Replacement


class CacheConfig(ctypes.LittleEndianStructure):
    """One level, or the L1I. Instance k serves the PEs k * sharers and up."""

    _fields_ = (
        ("sets", ctypes.c_uint32),
        ("ways", ctypes.c_uint32),
        ("sharers", ctypes.c_uint32),
        ("plru", ctypes.c_uint32),  # 1: tree-plru, 0: LRU
    )


class Config(ctypes.LittleEndianStructure):
    """A hierarchy. `reach[op]` is a set of levels (bit i: level i), `actions[op]` of Action bits."""

    _fields_ = (
        ("pes", ctypes.c_uint32),
        ("n_levels", ctypes.c_uint32),
        ("line_shift", ctypes.c_uint32),  # log2 of the line's bytes
        ("first_unified", ctypes.c_uint32),  # n_levels: memory
        ("idc", ctypes.c_uint32),
        ("dic", ctypes.c_uint32),
        ("l1i", CacheConfig),
        ("levels", CacheConfig * MAX_LEVELS),
        ("reach", ctypes.c_uint32 * MAX_OPS),
        ("actions", ctypes.c_uint32 * MAX_OPS),
    )


STRUCTURES = (CacheConfig, Config)
CLEAN, INVALIDATE = 1, 2
"""Action bits of `Config.actions`; an operation that is to be ignored has none."""

_OUTER = {Op.OUTER_CLEAN: CLEAN, Op.OUTER_INV: INVALIDATE, Op.OUTER_FLUSH: CLEAN | INVALIDATE}
assert set(_OUTER) == OUTER_MAINTENANCE


def reach(platform: Platform, op: Op) -> tuple[int, ...]:
    """Return the levels that a data-side operation acts on (facts A14, C2, C5).

    With IDC, operations to the PoU reach nothing. Of a set/way operation, those its operand may name.
    """
    if op in OUTER_MAINTENANCE:
        return platform.reached("outer")
    maintenance = DATA_MAINTENANCE[op]
    if maintenance.by is By.SET_WAY:
        return platform.reached("set_way")
    limit = platform.pou if maintenance.point is Point.POU else len(platform.levels)
    return tuple(level for level in platform.reached("by_va") if level < limit)


def actions(op: Op) -> int:
    """Return what a data-side operation does to a copy, as Action bits."""
    if op in _OUTER:
        return _OUTER[op]
    maintenance = DATA_MAINTENANCE[op]
    return CLEAN * maintenance.clean | INVALIDATE * maintenance.invalidate


def _cache(geometry: Geometry, line_bytes: int) -> CacheConfig:
    return CacheConfig(
        sets=geometry.sets(line_bytes),
        ways=geometry.ways,
        sharers=geometry.sharers,
        plru=geometry.replacement is Replacement.TREE_PLRU,
    )


def config(platform: Platform, ignored: Collection[Op] = ()) -> Config:
    """Return the compiled kernel's view of a platform; `ignored` operations do nothing."""
    line_bytes = platform.dminline_bytes
    made = Config(
        pes=platform.pes,
        n_levels=len(platform.levels),
        line_shift=line_bytes.bit_length() - 1,
        first_unified=platform.first_unified,
        idc=platform.idc,
        dic=platform.dic,
        l1i=_cache(platform.l1i, line_bytes),
    )
    for index, level in enumerate(platform.levels):
        made.levels[index] = _cache(level.geometry, line_bytes)
    for op in (*DATA_MAINTENANCE, *OUTER_MAINTENANCE):
        made.reach[op] = sum(1 << level for level in reach(platform, op))
        made.actions[op] = actions(op)
    for op in (Op.IC_IVAU, Op.IC_IALLU, Op.IC_IALLUIS):
        made.actions[op] = INVALIDATE
    for op in ignored:
        made.actions[op] = 0
    return made
