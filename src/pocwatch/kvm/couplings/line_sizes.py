"""PEs with lines of different sizes: a loop by one PE's line size steps over lines of the other's.

An operation by VA works on the line of that address, in each cache with that cache's lines. Linux reads
the smallest line size of the system since 116c81f427ff ("arm64: Work around systems with mismatched
cache line sizes"); a program that asks the PE it happens to run on is right on one PE and wrong on the
other. Fact B8.14.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from pocwatch.kvm.couplings.range_loop import Operation, RangeLoop, Reach
from pocwatch.platforms import Platform

BIG_LINE = 64
LITTLE_LINE = 32
SIZE = 2 * BIG_LINE


class Stride(enum.Enum):
    """From where the loop knows the size of a line, in bytes."""

    OF_BIG = BIG_LINE  # CTR_EL0 as read on a big PE
    SMALLEST = LITTLE_LINE  # of all PEs: what Linux shows in CTR_EL0; also as read on a LITTLE PE


def model(platform: Platform, stride: Stride) -> RangeLoop:
    """Return the loop over two lines of a big PE. One cell per line of a LITTLE PE is followed."""

    def loop(start: int, end: int) -> Sequence[Operation]:
        return [
            ("dc civac", address)
            for address in range(start & ~(stride.value - 1), end, stride.value)
        ]

    def reach(address: int, cell: int) -> Reach:
        if address // LITTLE_LINE == cell // LITTLE_LINE:
            return Reach.SURELY
        # in a big PE's cache the cell is in the same line as the address, in a LITTLE PE's it is not
        return Reach.PERHAPS if address // BIG_LINE == cell // BIG_LINE else Reach.NOT

    return RangeLoop(platform, [(0, BIG_LINE), (0, SIZE)], SIZE, LITTLE_LINE, loop, reach)
