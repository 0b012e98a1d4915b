"""Ranges whose ends are not aligned to lines: which lines does a loop touch, and what shares them?

The right loop rounds the start down to its line (Linux `dcache_by_line_op` does); one that does not steps
over the last line. A loop that discards must not discard the lines that the range only has a part of,
and since an invalidate may work on as much as a cache write-back granule (CTR_EL0.CWG), not the
granules either. Facts B8.58 (unaligned head and tail), B8.45 and B8.16 (over-invalidate), B8.39, C6, C16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocwatch.kvm.couplings.range_loop import Operation, Purpose, RangeLoop, Reach
from pocwatch.platforms import Platform

LINE = 16  # bytes: the least that the architecture allows, so that a line has few cells
GRANULE = 2 * LINE  # bytes: the cache write-back granule, where it is told apart from a line
CELL = 8

Loop = Callable[[int, int], Sequence[Operation]]


def rounds_down(start: int, end: int) -> Sequence[Operation]:
    """`addr = start & ~(line - 1); addr < end; addr += line`."""
    return [("dc civac", address) for address in range(start & ~(LINE - 1), end, LINE)]


def starts_at_start(start: int, end: int) -> Sequence[Operation]:
    """`addr = start; addr < end; addr += line`: wrong."""
    return [("dc civac", address) for address in range(start, end, LINE)]


def counts_whole_lines(start: int, end: int) -> Sequence[Operation]:
    """`for (n = (end - start) / line; n > 0; n--)`: wrong."""
    first = start & ~(LINE - 1)
    return [("dc civac", first + n * LINE) for n in range((end - start) // LINE)]


def discards(start: int, end: int) -> Sequence[Operation]:
    """Invalidate every line of the range: wrong where a line is only partly of the range."""
    return [("dc ivac", address) for _, address in rounds_down(start, end)]


def spares_partial_lines(start: int, end: int) -> Sequence[Operation]:
    """Invalidate whole lines; clean and invalidate those that the range has a part of."""
    return _spares_partial(LINE, start, end)


def spares_partial_granules(start: int, end: int) -> Sequence[Operation]:
    """Invalidate lines of whole granules; clean and invalidate the others."""
    return _spares_partial(GRANULE, start, end)


def _spares_partial(unit: int, start: int, end: int) -> Sequence[Operation]:
    def whole(address: int) -> bool:
        first = address & ~(unit - 1)
        return start <= first and first + unit <= end

    return [
        ("dc ivac" if whole(address) else "dc civac", address)
        for _, address in rounds_down(start, end)
    ]


def model(
    platform: Platform, loop: Loop, *, lines: int = 3, granule: int = LINE
) -> RangeLoop:
    """Return the loop over every range of some lines, in steps of a cell, the smallest first.

    Loops that discard are before a device writes to the range; the others before a reader. An
    operation may also work on the rest of its granule (which a clean may do at any time anyway).
    """
    size = lines * LINE
    to_reader = loop in (rounds_down, starts_at_start, counts_whole_lines)
    purpose = Purpose.TO_READER if to_reader else Purpose.FROM_DEVICE
    ranges = [
        (start, end) for end in range(CELL, size + CELL, CELL) for start in range(0, end, CELL)
    ]
    ranges.sort(key=lambda r: (r[1] - r[0], r))

    def reach(address: int, cell: int) -> Reach:
        if address // LINE == cell // LINE:
            return Reach.SURELY
        return Reach.PERHAPS if address // granule == cell // granule else Reach.NOT

    return RangeLoop(platform, ranges, size, CELL, loop, reach, purpose)
