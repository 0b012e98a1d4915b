"""One legal behaviour of the hardware that ends in a stale read, move by move.

The automaton says that a read may be stale; this finds a way there: over single configurations of the
literal model, which operation takes effect when, which cache moves when. For a fetch the instruction
cache of the PE that fetches is followed as well, as one physical cache that holds the instruction or
not. Among all ways the one with the fewest moves of the caches' own is told, operations taking effect
early and caches moving late.

Left out: PEs with their MMU off, so caches may fill at any time. The idea is that of `witness`, which
tells it faster and in less detail.
"""

from __future__ import annotations

import enum
import functools
import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    Kind,
    Op,
)
from pocwatch.line import model
from pocwatch.line.line import CELL_BYTES, read_kind
from pocwatch.line.model import Caches, Configuration, Copy, Pending
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

CACHEABLE = frozenset({Kind.WB})
_ANY = frozenset({Kind.WB, Kind.NC})


class By(enum.Enum):
    """Whose doing a move is."""

    SOFTWARE = "software"
    OPERATION = "an operation takes effect"
    HARDWARE = "the caches, unasked"


class Situation(NamedTuple):
    """What is where at one moment.

    `icache`: what the I-cache of the PE that fetches holds. `invalidations`: I-cache maintenance that
    was issued and has not taken effect, as (issuer, operation).
    """

    cell: Configuration
    icache: Copy = Copy.ABSENT
    invalidations: tuple[tuple[int, Op], ...] = ()

    @property
    def caches(self) -> Caches:
        return self.cell.caches

    def with_caches(self, caches: Caches) -> Situation:
        return self._replace(cell=self.cell._replace(caches=caches))

    @property
    def waiting(self) -> int:
        """How many operations have not taken effect."""
        return len(self.invalidations) + sum(len(queue) for _, queue in self.cell.queues)


@dataclass(frozen=True, slots=True)
class Moment:
    """What software does next: a step, or None for something that the line does not see.

    From then on I-caches may take the instruction with the attributes `kinds` (a mapping allows it);
    `emptied`: the fetching PE's I-cache has no entry any more (a new VMID, in a tagged one). Before the
    first moment it may have taken it with any: the page has a history.
    """

    step: Step | None
    kinds: frozenset[Kind] = CACHEABLE
    emptied: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One move. `moment`: of which moment it is, or before which it comes; `act` names it.

    `act` is what `model.silent_moves` calls it, "fetch ahead", "drop instruction", or for operations
    and software the spelling; `issuer` is the PE whose operation it is.
    """

    moment: int
    by: By
    act: str
    before: Situation
    after: Situation
    op: Op | None = None
    issuer: int = 0
    note: str = ""


def start(platform: Platform) -> Situation:
    """Return the situation before anything happened."""
    return Situation(Configuration(model.at_reset(platform), ()))


def behaviour(
    platform: Platform, moments: Sequence[Moment], read: Step, *, stale: bool = True
) -> tuple[Move, ...] | None:
    """Return the moves up to the read, in order; None if it cannot get a stale value.

    Preferred is a behaviour in which everything issued has taken effect. Not `stale`: any behaviour.
    """
    search = _Search(platform, moments, read)
    return search.found(stale, patient=False) or search.found(stale, patient=True)


class _Search:
    def __init__(self, platform: Platform, moments: Sequence[Moment], read: Step) -> None:
        self.platform = platform
        self.moments = moments
        self.read = read
        self.kinds = [_ANY, *(moment.kinds for moment in moments)]
        self.uncached: list[frozenset[int]] = [frozenset()]
        for moment in moments:
            self.uncached.append(_uncached_after(self.uncached[-1], moment.step))

    def found(self, stale: bool, *, patient: bool) -> tuple[Move, ...] | None:
        """Dijkstra: fewest silent moves, then shortest waits, then latest silent moves."""
        tie = itertools.count()
        first = (0, start(self.platform))
        queue = [((0, 0, 0), next(tie), first)]
        came: dict[tuple[int, Situation], tuple[tuple[int, Situation], Move] | None] = {first: None}
        best = {first: (0, 0, 0)}
        done: set[tuple[int, Situation]] = set()
        while queue:
            cost, _, node = heapq.heappop(queue)
            if node in done:
                continue
            done.add(node)
            at, situation = node
            ended = at == len(self.moments) and (patient or not situation.waiting)
            if ended and (not stale or may_be_stale(self.platform, situation, self.read)):
                return _unwound(came, node)
            for move in self._moves(at, situation):
                software = move.by is By.SOFTWARE
                silent, waited, early = cost
                if software:
                    waited += move.after.waiting
                elif move.by is By.HARDWARE:
                    silent, early = silent + 1, early + len(self.moments) - at
                after = (at + software, move.after)
                price = (silent, waited, early)
                if after not in best or price < best[after]:
                    best[after] = price
                    came[after] = (node, move)
                    heapq.heappush(queue, (price, next(tie), after))
        return None

    def _moves(self, at: int, situation: Situation) -> Iterator[Move]:
        for by, act, op, issuer, after in silent(
            self.platform, situation, self.read, self.kinds[at]
        ):
            yield Move(at, by, act, situation, after, op, issuer)
        if at < len(self.moments):
            moment = self.moments[at]
            act = str(moment.step) if moment.step else ""
            for note, after in events(
                self.platform, situation, moment, self.read, self.uncached[at]
            ):
                op, issuer = (moment.step.op, moment.step.agent) if moment.step else (None, 0)
                yield Move(at, By.SOFTWARE, act, situation, after, op, issuer, note)


def _unwound(
    came: dict[tuple[int, Situation], tuple[tuple[int, Situation], Move] | None],
    node: tuple[int, Situation],
) -> tuple[Move, ...]:
    moves = []
    step = came[node]
    while step is not None:
        node, move = step
        moves.append(move)
        step = came[node]
    return tuple(reversed(moves))


def _uncached_after(before: frozenset[int], step: Step | None) -> frozenset[int]:
    """Return the PEs with an uncached store since their last DMB or DSB (`model.Cell`)."""
    if step is None or step.device:
        return before
    if step.op is Op.ST and step.kind in (Kind.NC, Kind.DEV):
        return before | {step.agent}
    return before - {step.agent} if step.op in (Op.DMB, Op.DSB) else before


# --- What the hardware may do -------------------------------------------------------------------


@functools.lru_cache(maxsize=1 << 14)
def _cache_moves(caches: Caches) -> tuple[tuple[str, Caches], ...]:
    return tuple(model.silent_moves(caches, fill=True))


def fetched_from(platform: Platform, caches: Caches, kind: Kind) -> bool:
    """Return whether a fetch of this kind gets the latest instruction from behind the I-cache."""
    return caches.view(platform.pou) if kind is Kind.WB else caches.memory_latest


def _taken(platform: Platform, caches: Caches, kind: Kind) -> Copy:
    return model.copy_of(latest=fetched_from(platform, caches, kind), dirty=False)


Silent = tuple[By, str, Op | None, int, Situation]


def silent(
    platform: Platform, now: Situation, read: Step, kinds: frozenset[Kind]
) -> Iterator[Silent]:
    """Yield what may happen without software doing anything: (whose doing, name, operation, PE, after).

    An instruction cache takes instructions ahead of time with the attributes of a mapping that allows
    it: those of the read, if they are in `kinds`. One with CTR_EL0.DIC is coherent.
    """
    for act, caches in _cache_moves(now.caches):
        yield By.HARDWARE, act, None, 0, now.with_caches(caches)
    for pe, queue in now.cell.queues:
        op = queue[0].op
        for caches in model.maintain(platform, op)(now.caches):
            cell = now.cell._replace(caches=caches).with_queue(pe, queue[1:])
            yield By.OPERATION, op.spelling, op, pe, now._replace(cell=cell)
    for n, (pe, op) in enumerate(now.invalidations):
        if any(issuer == pe for issuer, _ in now.invalidations[:n]):
            continue
        rest = now.invalidations[:n] + now.invalidations[n + 1 :]
        reached = op is not Op.IC_IALLU or pe == read.agent
        icache = Copy.ABSENT if reached else now.icache
        after = now._replace(icache=icache, invalidations=rest)
        yield By.OPERATION, op.spelling, op, pe, after
    if read.op is Op.IF:
        kind = read_kind(read)
        if now.icache is not Copy.ABSENT:
            yield By.HARDWARE, "drop instruction", None, 0, now._replace(icache=Copy.ABSENT)
        elif kind in kinds and not platform.dic:
            taken = _taken(platform, now.caches, kind)
            yield By.HARDWARE, "fetch ahead", None, 0, now._replace(icache=taken)


# --- What software does -------------------------------------------------------------------------


def _meets(now: Situation, pe: int, kind: Kind) -> bool:
    """Return whether the PE's own access may find its earlier maintenance as it is. Facts C9."""
    queue = now.cell.queue(pe)
    return not (queue if kind is Kind.WB else any(p.ordered for p in queue))


def events(
    platform: Platform, now: Situation, moment: Moment, read: Step, uncached: frozenset[int]
) -> Iterator[tuple[str, Situation]]:
    """Yield what a moment may lead to, with a note where it is not the plain thing.

    `uncached`: PEs with an uncached store since their last barrier. The rules are `model.Cell`'s, for
    one configuration.
    """
    step = moment.step
    if step is None:
        yield "", now._replace(icache=Copy.ABSENT) if moment.emptied else now
        return
    pe, op = step.agent, step.op
    own = step.offset // CELL_BYTES == read.offset // CELL_BYTES or op is Op.DC_ZVA
    if op in DATA_MAINTENANCE:
        queue = (*now.cell.queue(pe), Pending(op, False))
        yield "", now._replace(cell=now.cell.with_queue(pe, queue))
        if pe in uncached:
            yield "acts as if before its own uncached store: no effect", now
    elif op in INSTRUCTION_MAINTENANCE:
        yield "", now._replace(invalidations=(*now.invalidations, (pe, op)))
    elif op is Op.DMB:
        queue = tuple(Pending(p.op, True) for p in now.cell.queue(pe))
        yield "", now._replace(cell=now.cell.with_queue(pe, queue))
    elif op is Op.DSB:
        if not now.cell.queue(pe) and all(issuer != pe for issuer, _ in now.invalidations):
            yield "", now
    elif op is Op.IF:
        yield from (("", after) for after in _fetches(platform, now, step, read))
    elif op in (Op.ST, Op.DC_ZVA):
        kind = Kind.WB if op is Op.DC_ZVA else read_kind(step)
        if _meets(now, pe, kind):
            yield from (("", after) for after in _written(platform, now, kind, own))
    elif op is Op.DMA_WR and own:
        write = model.dma_write_coherent if step.coherent else model.store_nc
        yield from (("", _aged(platform, now.with_caches(c))) for c in write(now.caches))
    elif op in OUTER_MAINTENANCE:
        effect = model.maintain(platform, op)
        yield from (("", now.with_caches(c)) for c in effect(now.caches))
    elif op in (Op.LD, Op.TW, Op.DMA_RD) and (op is not Op.LD or _meets(now, pe, read_kind(step))):
        fills = read_kind(step) in (Kind.WB, Kind.WT)
        yield from (
            ("", now.with_caches(c))
            for c in (model.demand_fill(now.caches) if fills else [now.caches])
        )
    elif op not in (Op.LD, Op.TW, Op.DMA_RD):
        yield "", now  # ISB, writes by devices to other cells


def _written(platform: Platform, now: Situation, kind: Kind, own: bool) -> Iterator[Situation]:
    if not own:
        caches = model.store_wb_neighbour(now.caches) if kind is Kind.WB else [now.caches]
        yield from (now.with_caches(c) for c in caches)
        return
    store = {Kind.WB: model.store_wb, Kind.WT: model.store_wt}.get(kind, model.store_nc)
    yield from (_aged(platform, now.with_caches(c)) for c in store(now.caches))


def _aged(platform: Platform, now: Situation) -> Situation:
    """A write makes what an I-cache holds stale, unless it is coherent."""
    if now.icache is Copy.ABSENT or platform.dic:
        return now
    return now._replace(icache=Copy.STALE_CLEAN)


def _fetches(
    platform: Platform, now: Situation, step: Step, read: Step
) -> Iterator[Situation]:
    """A fetch of the PE may leave what it got in the I-cache, with whatever attributes it came."""
    yield now
    if read.op is Op.IF and step.agent == read.agent and now.icache is Copy.ABSENT:
        taken = _taken(platform, now.caches, read_kind(step))
        if not (platform.dic and taken.latest):
            yield now._replace(icache=taken)


def may_be_stale(platform: Platform, now: Situation, read: Step) -> bool:
    """Return whether the read gets a stale value here."""
    kind = read_kind(read)
    if read.op is Op.IF:
        if now.icache is not Copy.ABSENT:
            return not now.icache.latest
        return not fetched_from(platform, now.caches, kind)
    if read.op is Op.LD and not _meets(now, read.agent, kind):
        return False
    return model.may_read_stale(now.caches, kind)
