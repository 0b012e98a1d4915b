"""A cell with pending operations, over the automaton instead of over configurations.

An operation that may or may not have taken effect leaves the cell in one of several automaton
states, one per choice; events step each of them, and a read is stale if it is in any. This is the
set of configurations of `model.Cell` written as a union of automaton states, hence exact; the tests
hold the two together. The C side (`plugin/pending.c`) does the same, with the same normal form of
queues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from pocwatch.arch.ops import DATA_MAINTENANCE, Kind, Op
from pocwatch.line import model
from pocwatch.line.automaton import MAINTENANCE_EVENT, Automaton, Event
from pocwatch.line.model import Pending, Queue
from pocwatch.platforms import Platform


class Branch(NamedTuple):
    """One automaton state the cell may be in, and what is still pending there, per PE."""

    state: int
    queues: tuple[Queue, ...]  # as in model.Configuration

    def queue(self, pe: int) -> tuple[Pending, ...]:
        return dict(self.queues).get(pe, ())

    def with_queue(self, pe: int, queue: tuple[Pending, ...]) -> Branch:
        queues = {**dict(self.queues), pe: queue}
        return self._replace(queues=tuple(sorted((p, q) for p, q in queues.items() if q)))


def without_effect(platform: Platform, op: Op) -> bool:
    """Return whether an operation never guarantees or loses anything on this platform.

    It reaches no level, or cleans by set/way among several PEs, where it may miss: all it may do,
    caches may do on their own.
    """
    if not model.maintained_levels(platform, op):
        return True
    return DATA_MAINTENANCE[op].clean and model.may_miss(platform, op)


def supersedes(platform: Platform, new: Op, old: Op) -> bool:
    """Return whether `old`, still pending, adds nothing once `new` is issued behind it.

    `old` must clean what it discards (then caches may do all of it on their own at any time), and
    `new` must leave the levels that `old` works on at least as clean and as empty.
    """
    a, b = DATA_MAINTENANCE[new], DATA_MAINTENANCE[old]
    reaches = set(model.maintained_levels(platform, old)) <= set(
        model.maintained_levels(platform, new)
    )
    return a.clean and b.clean and reaches and (a.invalidate or not b.invalidate)


def covers(platform: Platform, earlier: Op, new: Op) -> bool:
    """Return whether `new` adds nothing while the discarding `earlier` is pending.

    `earlier` may still act as late as `new` would, on at least its levels, and as surely.
    """
    if DATA_MAINTENANCE[earlier].clean or DATA_MAINTENANCE[new].clean:
        return False
    surely = model.may_miss(platform, new) or not model.may_miss(platform, earlier)
    return surely and set(model.maintained_levels(platform, new)) <= set(
        model.maintained_levels(platform, earlier)
    )


def queued(platform: Platform, queue: tuple[Pending, ...], op: Op) -> tuple[Pending, ...]:
    """Return the queue after issuing `op`, in normal form: what adds nothing is left out.

    Only operations issued since the last DMB are looked at; those before it are ordered before
    other accesses than `op` is. A second discarding operation (`ivac`, `isw`) makes all between it
    and the first one void: the first may act as late as the second.
    """
    ordered = tuple(p for p in queue if p.ordered)
    recent = [p.op for p in queue if not p.ordered]
    if not DATA_MAINTENANCE[op].clean:
        covering = [i for i, earlier in enumerate(recent) if covers(platform, earlier, op)]
        kept = recent[: covering[0] + 1] if covering else [*recent, op]
    else:
        last = max((i for i, p in enumerate(recent) if not DATA_MAINTENANCE[p].clean), default=-1)
        tail = [p for p in recent[last + 1 :] if not supersedes(platform, op, p)]
        kept = [*recent[: last + 1], *tail, op]
    return (*ordered, *(Pending(p, False) for p in kept))


@dataclass(frozen=True, slots=True)
class PendingCell:
    """The cell after some word of events: the interface of `model.Cell`, at table speed."""

    automaton: Automaton
    branches: frozenset[Branch]
    mmu_off: frozenset[int] = frozenset()
    pes: int = 1
    uncached_stores: frozenset[int] = frozenset()

    @staticmethod
    def initial(automaton: Automaton, pes: int | None = None) -> PendingCell:
        """Return the cell before anything happened, every PE with its MMU on."""
        branches = frozenset({Branch(0, ())})
        return PendingCell(automaton, branches, pes=pes or automaton.platform.pes)

    @property
    def fill(self) -> int:
        return int(len(self.mmu_off) < self.pes)

    def _take_effect(self, branch: Branch, pe: int) -> Branch:
        queue = branch.queue(pe)
        event = MAINTENANCE_EVENT[queue[0].op]
        state = self.automaton.delta[self.fill][event][branch.state]
        return branch._replace(state=state).with_queue(pe, queue[1:])

    def _settled(self) -> PendingCell:
        seen = set(self.branches)
        todo = [b for b in seen if b.queues]
        while todo:
            branch = todo.pop()
            for pe, _ in branch.queues:
                after = self._take_effect(branch, pe)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return replace(self, branches=frozenset(seen))

    def _keep(self, allowed: Callable[[Branch], bool]) -> PendingCell:
        return replace(self, branches=frozenset(filter(allowed, self.branches)))

    def _step(self, event: Event) -> PendingCell:
        row = self.automaton.delta[self.fill][event]
        return replace(
            self, branches=frozenset(b._replace(state=row[b.state]) for b in self.branches)
        )._settled()

    def _seen_by(self, pe: int | None, kind: Kind) -> PendingCell:
        if pe is None:
            return self
        if kind is Kind.WB:
            return self._keep(lambda b: not b.queue(pe))
        return self._keep(lambda b: not any(p.ordered for p in b.queue(pe)))

    def store(self, pe: int | None, kind: Kind, *, own: bool) -> PendingCell:
        before = self._seen_by(pe, kind)
        if pe is not None and kind in (Kind.NC, Kind.DEV):
            before = replace(before, uncached_stores=self.uncached_stores | {pe})
        if kind is Kind.WB:
            return before._step(Event.ST_WB if own else Event.ST_WB_NEIGHBOUR)
        if not own:
            return before
        return before._step(Event.ST_WT if kind is Kind.WT else Event.ST_NC)

    def load(self, pe: int | None, kind: Kind) -> PendingCell:
        before = self._seen_by(pe, kind)
        return before._step(Event.LD_CACHED) if kind in (Kind.WB, Kind.WT) else before

    def walk(self, kind: Kind) -> PendingCell:
        return self.load(None, kind)

    def dma_write(self, *, coherent: bool, own: bool) -> PendingCell:
        if not own:
            return self
        return self._step(Event.WR_COHERENT if coherent else Event.ST_NC)

    def issue(self, pe: int, op: Op) -> PendingCell:
        platform = self.automaton.platform
        if without_effect(platform, op):
            return self
        issued = frozenset(
            b.with_queue(pe, queued(platform, b.queue(pe), op)) for b in self.branches
        )
        if pe in self.uncached_stores:
            issued |= self.branches
        return replace(self, branches=issued)._settled()

    def outer(self, op: Op) -> PendingCell:
        return self._step(MAINTENANCE_EVENT[op])

    def dmb(self, pe: int) -> PendingCell:
        platform = self.automaton.platform

        def ordered(queue: tuple[Pending, ...]) -> tuple[Pending, ...]:
            merged: tuple[Pending, ...] = ()
            for pending in queue:
                merged = queued(platform, merged, pending.op)
            return tuple(Pending(p.op, True) for p in merged)

        branches = frozenset(b.with_queue(pe, ordered(b.queue(pe))) for b in self.branches)
        return replace(
            self, branches=branches, uncached_stores=self.uncached_stores - {pe}
        )

    def dsb(self, pe: int) -> PendingCell:
        completed = self._keep(lambda b: not b.queue(pe))
        return replace(completed, uncached_stores=self.uncached_stores - {pe})

    def mmu(self, pe: int, *, on: bool) -> PendingCell:
        if pe >= self.pes:
            return self
        mmu_off = self.mmu_off - {pe} if on else self.mmu_off | {pe}
        after = replace(self, mmu_off=mmu_off)
        if self.fill and not after.fill:
            return replace(self._step(Event.CLOSE), mmu_off=mmu_off)
        return after._settled()

    def reads(self, kind: Kind) -> bool:
        stale = self.automaton.stale[self.fill]
        return any(stale[b.state].of_read(kind) for b in self.branches)

    def fetch_source(self, kind: Kind, pou: int) -> bool:
        del pou  # the automaton knows its platform's
        stale = self.automaton.stale[self.fill]
        return any(stale[b.state].of_fetch(kind) for b in self.branches)
