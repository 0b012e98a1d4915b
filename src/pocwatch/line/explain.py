"""What a state of the automaton means in words, and the cheapest maintenance that makes a read fresh."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.arch.ops import Kind, Op
from pocwatch.line.automaton import MAINTENANCE_EVENT, Automaton, Stale
from pocwatch.line.table import automaton_of, fetched_as, lost_states
from pocwatch.platforms import Platform

# Relative costs, for choosing among repairs only: cleaning less far is cheaper, cleaning is cheaper
# than cleaning and invalidating (the next access misses). Operations that discard repair nothing
# that these do not, and may lose data.
COSTS: dict[Op, int] = {
    Op.DC_CVAU: 2,
    Op.DC_CVAC: 3,
    Op.DC_CIVAC: 4,
    Op.OUTER_CLEAN: 6,
    Op.OUTER_FLUSH: 7,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A repair as steps of a word without agents, empty if there is none, and each cell in words.

    `lost`: no maintenance helps any more, as the latest data may be gone.
    """

    repair: list[str]
    state_text: list[str]
    lost: bool = False


def state_text(stale: Stale, *, lost: bool) -> str:
    """Return what may be read of a cell, in words."""
    if lost:
        return "latest data may be lost"
    if not stale:
        return "coherent"
    return {
        Stale.NC: "memory stale",
        Stale.NC | Stale.POU: "memory and Point of Unification stale",
        Stale.WB | Stale.POU: "caches stale, memory latest",
        Stale.WB: "level 0 stale",
        Stale.WB | Stale.NC: "caches and memory may be stale",
        Stale.POU: "Point of Unification stale",
    }.get(stale, "caches and memory may be stale")


def repairs(automaton: Automaton, state: int, wanted_fresh: Stale) -> list[Op]:
    """Return the cheapest maintenance after which none of `wanted_fresh` is stale; [] if none is.

    Dijkstra over the automaton's maintenance edges, caches filling on their own.
    """
    queue: list[tuple[int, int, int, tuple[Op, ...]]] = [(0, 0, state, ())]
    seen: set[int] = set()
    while queue:
        cost, length, at, ops = heapq.heappop(queue)
        if at in seen:
            continue
        seen.add(at)
        if not any(row[at] & wanted_fresh for row in automaton.stale):
            return list(ops)
        for op, price in COSTS.items():
            after = automaton.delta[1][MAINTENANCE_EVENT[op]][at]
            if after not in seen:
                heapq.heappush(queue, (cost + price, length + 1, after, (*ops, op)))
    return []


def looked_at(op: Op, kind: Kind) -> Stale:
    """Return the outputs that an access of this kind depends on."""
    if op is Op.IF:
        return Stale(sum(f for f in Stale if any(f.of_fetch(k) for k in fetched_as(kind))))
    return Stale(sum(f for f in Stale if f.of_read(kind)))


def describe(
    platform: Platform, states: Sequence[int], cell: int, op: Op, kind: Kind
) -> Explanation:
    """Explain a finding: `states` are the data-side states of the line's cells before the read.

    A fetch that is stale only in the I-cache gets the invalidation, too.
    """
    automaton = automaton_of(platform)
    lost = lost_states(automaton)
    texts = [state_text(automaton.stale[1][s], lost=s in lost) for s in states]
    state = states[cell]
    wanted = looked_at(op, kind)
    steps: list[str] = []
    if any(row[state] & wanted for row in automaton.stale):
        ops = repairs(automaton, state, wanted)
        if not ops:
            return Explanation([], texts, lost=True)
        steps = [*(o.spelling for o in ops), "dsb"]
    if op is Op.IF:
        if not platform.dic:
            steps += ["ic ivau", "dsb"]
        steps.append("isb")
    return Explanation(steps, texts)
