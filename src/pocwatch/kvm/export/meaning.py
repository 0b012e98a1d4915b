"""What a step does to a cell, in terms of the line model's events: said once, for all concrete models.

The instruction side is left out: fetches, `ic` and `isb` do nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind, Op
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.line import read_kind
from pocwatch.line.word import Step


class Waits(enum.Enum):
    """What of its own PE's pending maintenance of the line an access waits for. Facts C9."""

    NOT = "not"
    FOR_ORDERED = "for what a DMB ordered"
    FOR_ALL = "for all"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a step does to each cell of its line; `model.Cell` and `line.step_cell` say the same."""

    waits: Waits = Waits.NOT
    own: Event | None = None  # to the cell it touches
    others: Event | None = None  # to the other cells of the line
    issues: Op | None = None  # becomes pending
    uncached_store: bool = False  # maintenance that follows may act as if it came before
    reads: Kind | None = None


def meaning(step: Step) -> Meaning:
    """Return what a step means that works on one line. The instruction side has no meaning here."""
    op = step.op
    if op in DATA_MAINTENANCE:
        return Meaning(issues=op)
    if op in OUTER_MAINTENANCE:
        return Meaning(own=MAINTENANCE_EVENT[op], others=MAINTENANCE_EVENT[op])
    if op is Op.DC_ZVA:
        return Meaning(Waits.FOR_ALL, Event.ST_WB, Event.ST_WB)
    if op is Op.DMA_WR:
        return Meaning(own=Event.WR_COHERENT if step.coherent else Event.ST_NC)
    if op is Op.ST:
        if step.kind is Kind.WB:
            return Meaning(Waits.FOR_ALL, Event.ST_WB, Event.ST_WB_NEIGHBOUR)
        if step.kind is Kind.WT:
            return Meaning(Waits.FOR_ORDERED, Event.ST_WT)
        return Meaning(Waits.FOR_ORDERED, Event.ST_NC, uncached_store=True)
    if op in (Op.LD, Op.TW, Op.DMA_RD):
        kind = read_kind(step)
        fill = Event.LD_CACHED if kind in (Kind.WB, Kind.WT) else None
        waits = Waits.NOT  # walks and devices wait for nothing
        if op is Op.LD:
            waits = Waits.FOR_ALL if kind is Kind.WB else Waits.FOR_ORDERED
        return Meaning(waits, fill, fill, reads=kind)
    return Meaning()
