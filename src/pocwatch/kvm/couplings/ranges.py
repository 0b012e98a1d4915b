"""Ranges whose ends are not aligned to lines: which lines does a loop touch, and what shares them?

The right loop rounds the start down to its line (Linux `dcache_by_line_op` does); one that does not steps
over the last line. A loop that discards must not discard the lines that the range only has a part of.
Facts B8.58 (unaligned head and tail), B8.45 and B8.16 (over-invalidate), C16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocwatch.kvm.couplings.range_loop import Operation, Purpose, RangeLoop, Reach
from pocwatch.platforms import Platform

LINE = 16  # bytes: the least that the architecture allows, so that a line has few cells
CELL = 8
LINES = 3

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
    return [
        ("dc ivac" if start <= address and address + LINE <= end else "dc civac", address)
        for _, address in rounds_down(start, end)
    ]


def model(platform: Platform, loop: Loop) -> RangeLoop:
    """Return the loop over every range of three lines, in steps of a cell, the smallest first.

    Loops that discard are before a device writes to the range; the others before a reader.
    """
    size = LINES * LINE
    purpose = (
        Purpose.FROM_DEVICE if loop in (discards, spares_partial_lines) else Purpose.TO_READER
    )
    ranges = [
        (start, end) for end in range(CELL, size + CELL, CELL) for start in range(0, end, CELL)
    ]
    ranges.sort(key=lambda r: (r[1] - r[0], r))

    def reach(address: int, cell: int) -> Reach:
        return Reach.SURELY if address // LINE == cell // LINE else Reach.NOT

    return RangeLoop(platform, ranges, size, CELL, loop, reach, purpose)
