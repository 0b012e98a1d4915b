"""`pocwatch line`: verdict, witness and cheapest repair for every read of a word."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.arch.ops import DATA_MAINTENANCE, Op
from pocwatch.line import witness
from pocwatch.line.explain import COSTS
from pocwatch.line.fetch import FetchSide
from pocwatch.line.line import (
    CELL_BYTES,
    INSTRUCTION_BYTES,
    Line,
    Rules,
    fetch_after,
    is_read,
    read_kind,
    stale_sources,
    step_cell,
)
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of, lost_states
from pocwatch.line.word import Step
from pocwatch.platforms import Platform


@dataclass(frozen=True, slots=True)
class Read:
    """One judged step: its verdict, and for one that is not fresh how it happens and what cures it."""

    step: int
    op: str
    verdict: str
    witness: list[str]
    repair: list[str]


MEMOISED = Rules(
    cell_after=functools.lru_cache(maxsize=1 << 18)(step_cell),
    fetch_after=functools.lru_cache(maxsize=1 << 18)(fetch_after),
    stale_sources=functools.lru_cache(maxsize=1 << 18)(stale_sources),
)


def _advance(line: Line[PendingCell], step: Step) -> Line[PendingCell]:
    return line.step(step, MEMOISED)


def pes_of(platform: Platform, steps: Sequence[Step]) -> int:
    """Return how many PEs fetch: the platform's, or as many as the word names.

    Whether caches fill on their own depends on the platform's PEs alone, so that a step never
    changes what was judged before it.
    """
    return max(platform.pes, 1 + max((s.agent for s in steps if not s.device), default=0))


def judge(platform: Platform, steps: Sequence[Step]) -> list[Read]:
    """Return the reads of a word in order."""
    pes = pes_of(platform, steps)
    cell = PendingCell.initial(automaton_of(platform))
    line = Line.initial(platform, cell, filter(is_read, steps), pes)
    lines = [line]
    reads: list[Read] = []
    for number, step in enumerate(steps):
        if is_read(step):
            verdict = line.verdict(step)
            told = _witness(lines, steps[:number], step, verdict)
            cure = [] if verdict == "fresh" else _repair(lines, steps[:number], step)
            reads.append(Read(number, str(step), verdict, told, cure))
        line = _advance(line, step)
        lines.append(line)
    return reads


def judge_all(platform: Platform, words: Sequence[Sequence[Step]]) -> list[list[Read]]:
    """Return the reads of several words, in order."""
    return [judge(platform, steps) for steps in words]


# --- Witness ------------------------------------------------------------------------------------


def _witness(
    lines: Sequence[Line[PendingCell]], steps: Sequence[Step], read: Step, verdict: str
) -> list[str]:
    if verdict == "fresh":
        return []
    if verdict == "unsynced":
        return [
            f"P{read.agent} has had no context synchronisation event since the instruction became "
            "coherent: it may execute what it fetched before"
        ]
    index = read.offset // CELL_BYTES
    told = witness.tell([line.cells[index] for line in lines], steps, read, index)
    if told:
        return told
    fetch = lines[-1].fetches[read.offset // INSTRUCTION_BYTES]
    waiting = [f"P{w.issuer}" for w in fetch.windows]
    since = next(
        (
            f"since before step {n} ({steps[n]})"
            for n in range(len(steps) - 1, -1, -1)
            if (read.agent, read_kind(read))
            not in lines[n].fetches[read.offset // INSTRUCTION_BYTES].stale
        ),
        "from before",
    )
    told = [f"P{read.agent}'s instruction cache still holds the instruction it fetched {since}"]
    if waiting:
        told.append(f"at the read: the invalidation by {', '.join(waiting)} has not taken effect")
    return told


# --- Repair -------------------------------------------------------------------------------------


def _repair(
    lines: Sequence[Line[PendingCell]], steps: Sequence[Step], read: Step
) -> list[str]:
    """Return the cheapest steps before the read that make it fresh.

    If the data may be lost by then, steps to insert earlier, marked `before step N:`; [] if even
    those do not help.
    """
    fixer = next(
        (s.agent for s in reversed(steps) if not s.device and s.op in (Op.ST, Op.DC_ZVA)),
        0 if read.device else read.agent,
    )
    line = lines[-1]
    cell = line.cells[read.offset // CELL_BYTES]
    fetch = line.fetches.get(read.offset // INSTRUCTION_BYTES) if read.op is Op.IF else None
    found = _cheapest(line.platform, cell, fetch, read, fixer)
    if found is not None:
        return [str(step) for step in found]
    return _earlier(lines, steps, read, fixer)


def _moves(
    platform: Platform, cell: PendingCell, fetch: FetchSide | None, read: Step, fixer: int
) -> list[tuple[int, tuple[Step, ...]]]:
    """Return what a repair is put together from, with costs: maintenance is followed by its DSB."""
    dsb = Step(Op.DSB, fixer)
    moves: list[tuple[int, tuple[Step, ...]]] = []
    for op, cost in COSTS.items():
        if op in DATA_MAINTENANCE:
            moves.append((cost + 1, (Step(op, fixer), dsb)))
        elif platform.reached("outer"):
            moves.append((cost, (Step(op, fixer),)))
    issuers = {pe for branch in cell.branches for pe, _ in branch.queues} | cell.uncached_stores
    if fetch:
        issuers |= {window.issuer for window in fetch.windows}
        moves += [(4, (Step(Op.IC_IVAU, fixer), dsb)), (1, (Step(Op.ISB, read.agent),))]
    return moves + [(1, (Step(Op.DSB, pe),)) for pe in sorted(issuers)]


@functools.lru_cache(maxsize=1 << 16)
def _cheapest(
    platform: Platform, cell: PendingCell, fetch: FetchSide | None, read: Step, fixer: int
) -> tuple[Step, ...] | None:
    """Dijkstra over the line: maintenance and barriers until the read is fresh."""
    lost = lost_states(cell.automaton)
    moves = _moves(platform, cell, fetch, read, fixer)
    start = Line(
        platform,
        {read.offset // CELL_BYTES: cell},
        {read.offset // INSTRUCTION_BYTES: fetch} if fetch else {},
    )
    tie = itertools.count()
    queue: list[tuple[int, int, Line[PendingCell], tuple[Step, ...]]] = [(0, next(tie), start, ())]
    seen: set[object] = set()
    while queue:
        cost, _, line, done = heapq.heappop(queue)
        key = (*line.cells.values(), *line.fetches.values())
        if key in seen:
            continue
        seen.add(key)
        if line.verdict(read) == "fresh":
            return done
        if any(b.state in lost for c in line.cells.values() for b in c.branches if not b.queues):
            continue
        for price, steps in moves:
            after = line
            for step in steps:
                after = _advance(after, step)
            heapq.heappush(queue, (cost + price, next(tie), after, (*done, *steps)))
    return None


def _earlier(
    lines: Sequence[Line[PendingCell]], steps: Sequence[Step], read: Step, fixer: int
) -> list[str]:
    cures = _simple_cures(lines[0].platform, steps, fixer)
    for at in range(len(steps) - 1, -1, -1):
        for cure in cures:
            line = lines[at]
            for step in (*cure, *steps[at:]):
                line = _advance(line, step)
            if line.verdict(read) == "fresh":
                return [f"before step {at}: {step}" for step in cure]
    return []


def _simple_cures(
    platform: Platform, steps: Sequence[Step], fixer: int
) -> list[tuple[Step, ...]]:
    """Return what may help when it is done earlier: a missing DSB, a clean, a clean of all levels."""
    issuers = sorted({s.agent for s in steps if s.op in DATA_MAINTENANCE})
    cures: list[tuple[Step, ...]] = [(Step(Op.DSB, pe),) for pe in issuers]
    cures += [(Step(op, fixer), Step(Op.DSB, fixer)) for op in (Op.DC_CVAC, Op.DC_CIVAC)]
    if platform.reached("outer"):
        flush = Step(Op.OUTER_FLUSH, fixer)
        cures.append((Step(Op.DC_CIVAC, fixer), Step(Op.DSB, fixer), flush))
    return cures
