"""The states of a line's cells along its events in a trace: the events are whole, so nothing is guessed.

Steps the table with pending operations (`line.pending`) over the line's events and what is of no line:
barriers, set/way operations, MMUs. A second barrier of a PE without an event of the line in between
does nothing to it and is left out; a recording begins at reset, with every MMU off. The instruction
side is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pocwatch.arch.ops import BY_SPELLING, DATA_MAINTENANCE, By, Kind, Op
from pocwatch.line.calculator import MEMOISED
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import Step
from pocwatch.platforms import Platform
from pocwatch.tui.trace_store import Event, Store

CELL_BYTES, CELLS = 8, 8
_KINDS = {kind.name.lower(): kind for kind in Kind}
_BARRIERS = (Op.DSB, Op.DMB)
OF_NO_LINE = frozenset(
    {Op.DSB, Op.DMB, Op.MMU_ON, Op.MMU_OFF, Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH}
    | {op for op, each in DATA_MAINTENANCE.items() if each.by is By.SET_WAY}
)
Cells = tuple[PendingCell, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """The cells before and after an event of the line."""

    before: Cells
    after: Cells


def touched(event: Event) -> range:
    """Return the cells of its line that an event touches."""
    if event.op == "dc zva" or event.size == 0:
        return range(CELLS)
    first = event.pa // CELL_BYTES % CELLS
    return range(
        first, min(CELLS, first + (event.pa % CELL_BYTES + event.size - 1) // CELL_BYTES + 1)
    )


class Barriers:
    """What is of no line, in order: read once a trace, when first needed."""

    def __init__(self, store: Store) -> None:
        times: list[Any] = []
        steps: list[Any] = []
        self.steps: list[Step] = []
        known: dict[Step, int] = {}
        for number, group in store.groups.items():
            if group.shard is not None:
                continue
            seq, (ops, op_words) = store.column(number, "seq", "op")
            ((agents, agent_words),) = store.column(number, "agent")
            pairs, inverse = np.unique(
                ops.astype(np.int64) << 32 | agents.astype(np.int64), return_inverse=True
            )
            words = [(op_words[p >> 32], agent_words[p & 0xFFFF_FFFF]) for p in pairs.tolist()]
            numbers = np.array([self._known(known, *each) for each in words], np.int64)
            found = numbers[inverse]
            times.append(seq[found >= 0])
            steps.append(found[found >= 0])
        seq = np.concatenate(times) if times else np.zeros(0, np.uint64)
        order: Any = np.argsort(seq, kind="stable")
        self._seq = seq[order]
        self._numbers = np.concatenate(steps)[order] if steps else order

    def _known(self, known: dict[Step, int], op: str, agent: str) -> int:
        """Return the number of a step, -1 for one that does nothing to cells."""
        if BY_SPELLING.get(op) not in OF_NO_LINE:
            return -1
        step = Step(BY_SPELLING[op], int(agent[1:]), agent[0] == "D")
        if step not in known:
            known[step] = len(self.steps)
            self.steps.append(step)
        return known[step]

    def between(self, after: int, before: int) -> list[Step]:
        """Return the steps between two times that may matter to a line without events there."""
        bounds: Any = np.searchsorted(self._seq, [after + 1, before])
        low, high = bounds.tolist()
        kept: list[Step] = []
        numbers = self._numbers[low:high]
        if len(numbers):
            changes = np.flatnonzero(np.diff(numbers, prepend=-1))
            numbers = numbers[changes]
        seen: set[Step] = set()
        for number in numbers.tolist():
            step = self.steps[number]
            if step.op not in _BARRIERS:
                seen.clear()
            elif step in seen:
                continue
            seen.add(step)
            kept.append(step)
        return kept


class Replay:
    """A line's events with the cells before and after each, followed as far as is asked."""

    def __init__(self, platform: Platform, pes: int, barriers: Barriers) -> None:
        self.platform = platform
        self._barriers = barriers
        cell = PendingCell.initial(automaton_of(platform), pes)
        for pe in range(pes):
            cell = MEMOISED.cell_after(cell, Step(Op.MMU_OFF, pe), own=False)
        self._cells: Cells = (cell,) * CELLS
        self._time = 0
        self.moments: list[Moment] = []

    def follow(self, event: Event) -> None:
        """Take in the next event of the line."""
        for step in self._barriers.between(self._time, event.seq):
            self._take(step, range(0))
        before = self._cells
        own = step_of(event)
        if own is not None and not event.dropped:
            self._take(own, touched(event))
        self._time = event.seq
        self.moments.append(Moment(before, self._cells))

    def _take(self, step: Step, own: range) -> None:
        # Cells are mostly one and the same; what happened to one need not be computed for each.
        done: dict[tuple[int, bool], PendingCell] = {}
        after: list[PendingCell] = []
        for index, cell in enumerate(self._cells):
            key = id(cell), index in own
            if key not in done:
                done[key] = MEMOISED.cell_after(cell, step, own=key[1])
            after.append(done[key])
        self._cells = tuple(after)


def step_of(event: Event) -> Step | None:
    """Return an event as a step of a word, None for what does nothing to cells."""
    op = BY_SPELLING.get(event.op)
    if op is None:
        return None
    kind = _KINDS.get(event.kind, Kind.WB)
    if op in (Op.DMA_RD, Op.DMA_WR):
        return Step(op, int(event.agent[1:]), device=True, coherent=kind is Kind.WB)
    return Step(op, int(event.agent[1:]), kind=kind)


def stale(event: Event, cells: Cells) -> bool | None:
    """Return whether a read may be stale in any cell it touches; None for what reads nothing."""
    step = step_of(event)
    if step is None or step.op not in (Op.LD, Op.TW, Op.IF, Op.DMA_RD):
        return None
    kind = step.kind or (Kind.WB if step.coherent else Kind.NC)
    met = [cells[index] for index in touched(event)]
    if step.op is Op.IF:
        return any(cell.fetch_source(kind, 0) for cell in met)
    if step.op is Op.LD:
        met = [cell.load(step.agent, kind) for cell in met]
    return any(cell.reads(kind) for cell in met)
