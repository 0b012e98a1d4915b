"""Sizes, ways, replacement and sharing of caches: what a concrete cache simulation needs.

The line automaton needs none of it: it allows every geometry. Keys that a platform file leaves out
have the defaults of `DEFAULT_L1` and `default_level`; they are round figures of common cores, not
facts about the platform.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pocwatch.platforms.errors import PlatformError

MAX_WAYS = 64
MAX_SIZE_KIB = 1 << 20
ALL_PES = 64
"""`Geometry.sharers` of a cache that all PEs share."""


class Replacement(enum.Enum):
    """How a set of a cache chooses its victim when no way is free."""

    LRU = "lru"  # least recently used
    TREE_PLRU = "tree-plru"  # one bit per node of a binary tree points away from the last use


@dataclass(frozen=True, slots=True)
class Geometry:
    """One cache's shape. `sharers` PEs with consecutive numbers share one such cache."""

    size_kib: int
    ways: int
    replacement: Replacement = Replacement.LRU
    sharers: int = 1

    def sets(self, line_bytes: int) -> int:
        """Return the number of sets."""
        return self.size_kib * 1024 // (line_bytes * self.ways)


DEFAULT_L1 = Geometry(32, 4)
_DEFAULT_LEVELS = (DEFAULT_L1, Geometry(512, 8), Geometry(8192, 16), Geometry(16384, 16))

KEYS: dict[str, type] = {"size_kib": int, "ways": int, "replacement": str}
LEVEL_KEYS: dict[str, type] = {**KEYS, "shared": bool, "sharers": int}


def default_level(index: int, levels: int) -> Geometry:
    """Return what a level is when the file says nothing: the last of several is shared by all."""
    given = _DEFAULT_LEVELS[index]
    sharers = ALL_PES if index and index == levels - 1 else 1
    return Geometry(given.size_kib, given.ways, given.replacement, sharers)


def _sharers(table: dict[str, Any], default: int, where: str) -> int:
    shared, sharers = table.get("shared"), table.get("sharers")
    if sharers is None:
        return default if shared is None else ALL_PES if shared else 1
    if shared is False:
        raise PlatformError(f"{where}: sharers is {sharers}, but shared is false: give one of them")
    if not 1 <= sharers <= ALL_PES:
        raise PlatformError(f"{where}: sharers is {sharers}: accepted are 1 to {ALL_PES}")
    return int(sharers)


def geometry(table: dict[str, Any], default: Geometry, line_bytes: int, where: str) -> Geometry:
    """Return the geometry that a table of checked types gives. Raises PlatformError."""
    kinds = {kind.value: kind for kind in Replacement}
    name = table.get("replacement", default.replacement.value)
    if name not in kinds:
        raise PlatformError(f"{where}: replacement is {name!r}: accepted are {', '.join(kinds)}")
    size_kib, ways = table.get("size_kib", default.size_kib), table.get("ways", default.ways)
    if not 1 <= size_kib <= MAX_SIZE_KIB:
        raise PlatformError(f"{where}: size_kib is {size_kib}: accepted are 1 to {MAX_SIZE_KIB}")
    if not 1 <= ways <= MAX_WAYS:
        raise PlatformError(f"{where}: ways is {ways}: accepted are 1 to {MAX_WAYS}")
    if kinds[name] is Replacement.TREE_PLRU and ways & (ways - 1):
        raise PlatformError(f"{where}: ways is {ways}: tree-plru takes a power of two")
    sets, rest = divmod(size_kib * 1024, line_bytes * ways)
    if rest or not sets or sets & (sets - 1):
        raise PlatformError(
            f"{where}: size_kib {size_kib} with {ways} ways of {line_bytes}-byte lines is "
            f"{size_kib * 1024 / (line_bytes * ways):g} sets: accepted is a power of two"
        )
    return Geometry(size_kib, ways, kinds[name], _sharers(table, default.sharers, where))


def check_nesting(levels: list[tuple[str, Geometry]], where: str) -> None:
    """Raise PlatformError unless the PEs that share a cache also share every cache behind it."""
    for (inner, near), (outer, far) in pairwise(levels):
        if far.sharers != ALL_PES and far.sharers % near.sharers:
            raise PlatformError(
                f"{where}: {inner} has {near.sharers} sharers and {outer} {far.sharers}: "
                "accepted is a multiple, going outwards"
            )
