"""Which lines are dirty: what was written last and still fits. Sizes in bytes, no addresses."""

from __future__ import annotations

import enum

from pocwatch.platforms import Platform


class Segment(enum.Enum):
    """Parts of guest RAM that are written and cleaned together."""

    IMAGE = "image"
    REST = "rest"


def capacity(platform: Platform) -> int:
    """Return the size of the largest cache that operations by VA reach."""
    return max(
        (platform.levels[n].geometry.size_kib * 1024 for n in platform.reached("by_va")), default=0
    )


def reached_bytes(platform: Platform, by: str) -> int:
    """Return the size of all caches together that `by` reaches, of one PE."""
    return sum(platform.levels[n].geometry.size_kib * 1024 for n in platform.reached(by))


class Dirty:
    """How much of each segment is dirty in caches of a total capacity."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._bytes: dict[Segment, int] = {}  # oldest first

    @property
    def total_bytes(self) -> int:
        """All that is dirty."""
        return sum(self._bytes.values())

    def just_written(self, size_bytes: int) -> int:
        """Return how much of a range is dirty right after it was written."""
        return min(size_bytes, self._capacity)

    def write(self, segment: Segment, size_bytes: int) -> None:
        """Write a part of a segment that was not dirty; the oldest makes room."""
        mine = min(self._bytes.pop(segment, 0) + size_bytes, self._capacity)
        self._bytes[segment] = mine
        for old in list(self._bytes):
            excess = self.total_bytes - self._capacity
            if excess > 0:
                self._bytes[old] = max(0, self._bytes[old] - excess)

    def found(self, segment: Segment | None, size_bytes: int, of_bytes: int) -> int:
        """Return the dirty part of `size_bytes` out of a segment (None: all) of that size."""
        if of_bytes == 0:
            return 0
        there = self.total_bytes if segment is None else self._bytes.get(segment, 0)
        return min(size_bytes, there * min(size_bytes, of_bytes) // of_bytes)

    def clean(self, segment: Segment | None, size_bytes: int) -> None:
        """Clean so many dirty bytes, the oldest first."""
        for old in [segment] if segment is not None else list(self._bytes):
            taken = min(size_bytes, self._bytes.get(old, 0))
            if taken:
                self._bytes[old] -= taken
                size_bytes -= taken
