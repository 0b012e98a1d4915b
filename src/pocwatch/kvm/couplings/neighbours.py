"""Two owners of one line: a buffer for a non-coherent device, and a neighbour that knows nothing of it.

Lines move as a whole: who invalidates without clean discards the neighbour's dirty bytes, and a neighbour
that writes while the device does makes the line dirty over what the device wrote. Cleaning saves the
first, nothing but a line of its own the second. Facts B8.45 (TF-A c5ee8588bf: a stack variable's
neighbours lost), B8.56, C16.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from pocwatch.kvm.export.concrete import (
    Do,
    Instruction,
    Program,
    Set,
    Wait,
    do,
    judge,
    straight,
)
from pocwatch.kvm.export.semantics import System
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform


class Placement(enum.Enum):
    """Where the neighbour's bytes are."""

    SAME_LINE = "in the buffer's line"
    OWN_LINE = "in a line of their own"  # the buffer is aligned and padded


class Neighbour(enum.Enum):
    """When the neighbour writes its bytes."""

    BEFORE = "before the driver starts"
    ANY_TIME = "at any time"


@dataclass(frozen=True, slots=True)
class Driver:
    """What the driver does to the buffer's line before and after the device writes, as `dc ivac`."""

    before: str
    after: str


# Linux cleans before since c50f11c6196f, so that nothing old of others leaks; facts B8.16, C16.
LINUX = Driver("dc cvac", "dc ivac")
INVALIDATES = Driver("dc ivac", "dc ivac")
CLEANS_AND_INVALIDATES = Driver("dc civac", "dc civac")
CLEANS_ONLY = Driver("dc cvac", "dc cvac")  # keeps what was filled while the device wrote
BEFORE_ONLY = Driver("dc civac", "dmb")  # the same; facts B8.53


def program(
    platform: Platform, does: Driver, placement: Placement, neighbour: Neighbour
) -> Program:
    """Return driver, device and neighbour: none of the two readers may read stale bytes."""
    device_done = 2

    def driver() -> Iterator[Instruction]:
        if neighbour is Neighbour.BEFORE:
            yield Wait(0)
        yield from do(f"P0 {does.before}; P0 dsb")
        yield Set(1)
        yield Wait(device_done)
        yield from do(f"P0 {does.after}; P0 dsb")
        yield from judge("P0 ld wb")

    line = 0 if placement is Placement.SAME_LINE else 1
    writes = [Do(i.step, line) for i in do("P1 st wb +8") if isinstance(i, Do)]
    reads = [Do(i.step, line, judged=True) for i in judge("P1 ld wb +8") if isinstance(i, Do)]
    return Program(
        f"DMA, {does.before}, {does.after}, neighbour {placement.value}, writes {neighbour.value}",
        platform,
        (
            straight("driver", tuple(driver())),
            straight("device", (Wait(1), *do("D0 wr noncoherent"), Set(device_done))),
            straight("neighbour", (*writes, Set(0), *reads)),
        ),
        lines=line + 1,
    )


def model(
    platform: Platform, does: Driver, placement: Placement, neighbour: Neighbour
) -> System[PendingCell]:
    """Return the program over the line automaton: neither driver nor neighbour reads stale bytes."""
    whole = program(platform, does, placement, neighbour)
    return System(whole, PendingCell.initial(automaton_of(platform)), step_cell)
