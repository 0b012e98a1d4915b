"""What caches may do to one 8-byte cell of a line: the normative model, written literally.

A configuration says what each cache level and memory hold for the cell, and which maintenance
operations each PE has issued that are not complete yet. Hardware moves from configuration to
configuration on its own (`silent_moves`) and with every event; what a program may observe is what
*some* configuration shows. Readability over performance: the automaton is computed from the
functions of this file, and is tested against `Cell`, which runs them as they stand.

Left out: which PE's L1 holds a line (coherent caches of a shareability domain are one chain), cache
geometry, timing. Rules carry the names of the design's table; facts C3 to C5, C7, C9, C10.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Kind, Op, Point
from pocwatch.platforms import Platform


class Copy(enum.Enum):
    """What one cache level holds of a cell."""

    ABSENT = "absent"
    LATEST_CLEAN = "latest, clean"
    LATEST_DIRTY = "latest, dirty"
    STALE_CLEAN = "stale, clean"
    STALE_DIRTY = "stale, dirty"

    @property
    def latest(self) -> bool:
        return self in (Copy.LATEST_CLEAN, Copy.LATEST_DIRTY)

    @property
    def dirty(self) -> bool:
        return self in (Copy.LATEST_DIRTY, Copy.STALE_DIRTY)


def copy_of(*, latest: bool, dirty: bool) -> Copy:
    """Return the copy with these properties."""
    if dirty:
        return Copy.LATEST_DIRTY if latest else Copy.STALE_DIRTY
    return Copy.LATEST_CLEAN if latest else Copy.STALE_CLEAN


class Caches(NamedTuple):
    """What every level (0 nearest the PEs) and memory hold of a cell."""

    levels: tuple[Copy, ...]
    memory_latest: bool

    def view(self, level: int) -> bool:
        """Return whether a reader entering at `level` gets the latest value."""
        for held in self.levels[level:]:
            if held is not Copy.ABSENT:
                return held.latest
        return self.memory_latest

    def with_level(self, level: int, held: Copy) -> Caches:
        return Caches((*self.levels[:level], held, *self.levels[level + 1 :]), self.memory_latest)


Effect = Callable[[Caches], Iterable[Caches]]


def all_caches(platform: Platform) -> Iterator[Caches]:
    """Yield every conceivable content of the platform's caches and memory for a cell."""
    for levels in itertools.product(Copy, repeat=len(platform.levels)):
        for memory_latest in (True, False):
            yield Caches(levels, memory_latest)


def at_reset(platform: Platform) -> Caches:
    """Return the caches before anything happened: empty, memory latest."""
    return Caches((Copy.ABSENT,) * len(platform.levels), True)


# --- Silent moves: at any time, unasked ------------------------------------------------------


def push_down(caches: Caches, level: int) -> Caches:
    """Write a dirty copy back to the next level, or memory; the upper copy stays, clean."""
    latest = caches.levels[level].latest
    after = caches.with_level(level, copy_of(latest=latest, dirty=False))
    if level + 1 < len(caches.levels):
        return after.with_level(level + 1, copy_of(latest=latest, dirty=True))
    return after._replace(memory_latest=latest)


def silent_moves(caches: Caches, *, fill: bool) -> Iterator[tuple[str, Caches]]:
    """Yield what the hardware may do on its own, in words, with the result.

    A clean copy is dropped and never written back; a dirty copy moves down and the upper copy
    stays clean or goes; with `fill`, an absent level takes a clean copy of what lies below.
    Arm ARM DDI 0487, "General behavior of the caches". Facts C3 (a), (c), (d).
    """
    for level, held in enumerate(caches.levels):
        if held is Copy.ABSENT:
            if fill:
                latest = caches.view(level + 1)
                yield f"fill {level}", caches.with_level(level, copy_of(latest=latest, dirty=False))
        elif held.dirty:
            pushed = push_down(caches, level)
            yield f"write back {level}", pushed
            yield f"evict {level}", pushed.with_level(level, Copy.ABSENT)
        else:
            yield f"drop {level}", caches.with_level(level, Copy.ABSENT)


# --- Events, for the cell itself and for its neighbours in the line --------------------------


def _aged(held: Copy) -> Copy:
    return held if held is Copy.ABSENT else copy_of(latest=False, dirty=held.dirty)


def store_wb(caches: Caches) -> Iterable[Caches]:
    """`st wb`, own cell: level 0 latest and dirty; every other copy and memory stale. Facts C3 (f)."""
    below = tuple(_aged(held) for held in caches.levels[1:])
    return [Caches((Copy.LATEST_DIRTY, *below), False)]


def store_wb_neighbour(caches: Caches) -> Iterable[Caches]:
    """`st wb`, other cells: the line is allocated and dirty with what the cell had. Facts C10."""
    return [caches.with_level(0, copy_of(latest=caches.view(0), dirty=True))]


def store_nc(caches: Caches) -> Iterable[Caches]:
    """`st nc`, `st dev`, non-coherent DMA write: memory latest; copies stale, dirty flags kept.

    Arm ARM DDI 0487, "Mismatched memory attributes". Facts C10.
    """
    return [Caches(tuple(_aged(held) for held in caches.levels), True)]


def store_wt(caches: Caches) -> Iterable[Caches]:
    """`st wt`: as `st nc`, or memory and all present copies latest. Facts C18 (A77: WT as NC)."""
    through = tuple(
        held if held is Copy.ABSENT else copy_of(latest=True, dirty=held.dirty)
        for held in caches.levels
    )
    return [*store_nc(caches), Caches(through, True)]


def dma_write_coherent(caches: Caches) -> Iterable[Caches]:
    """`wr coherent`: straight to memory with every copy gone, or allocated in the last level."""
    absent = (Copy.ABSENT,) * len(caches.levels)
    return [Caches(absent, True), Caches((*absent[:-1], Copy.LATEST_DIRTY), False)]


def demand_fill(caches: Caches) -> Iterable[Caches]:
    """Cacheable read: levels above the one that answers may each be left with a clean copy."""
    results = [caches]
    for level, held in reversed(list(enumerate(caches.levels))):
        if any(upper is not Copy.ABSENT for upper in caches.levels[: level + 1]):
            continue
        assert held is Copy.ABSENT
        results += [
            c.with_level(level, copy_of(latest=c.view(level + 1), dirty=False)) for c in results
        ]
    return results


def clean(caches: Caches, levels: Iterable[int]) -> Caches:
    """Push dirty copies of `levels` down, nearest the PEs first. Facts C4."""
    for level in sorted(levels):
        if caches.levels[level].dirty:
            caches = push_down(caches, level)
    return caches


def invalidate(caches: Caches, levels: Iterable[int]) -> Caches:
    """Drop whatever `levels` hold, dirty or not. Facts C4."""
    for level in levels:
        caches = caches.with_level(level, Copy.ABSENT)
    return caches


def maintained_levels(platform: Platform, op: Op) -> tuple[int, ...]:
    """Return the levels that a data maintenance operation works on. Facts A6, A15, C2, C5."""
    if op in (Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH):
        return platform.reached("outer")
    maintenance = DATA_MAINTENANCE[op]
    if maintenance.by is By.SET_WAY:
        return platform.reached("set_way")
    if maintenance.point is Point.POU:
        return tuple(range(platform.pou))
    return platform.reached("by_va")


def may_miss(platform: Platform, op: Op) -> bool:
    """Return whether an operation may have no effect: by set/way, with several PEs.

    The line may sit in, or move to, another PE's cache. Facts A6, C5.
    """
    maintenance = DATA_MAINTENANCE.get(op)
    return bool(maintenance and maintenance.by is By.SET_WAY and platform.pes > 1)


def maintain(platform: Platform, op: Op) -> Effect:
    """Return what a data maintenance operation does to the cell's caches when it takes effect.

    Invalidation without clean may also clean first (facts C7, C18).
    """
    levels = maintained_levels(platform, op)
    by_va_or_set_way = DATA_MAINTENANCE.get(op)
    if by_va_or_set_way:
        cleans, invalidates = by_va_or_set_way.clean, by_va_or_set_way.invalidate
    else:
        cleans, invalidates = op is not Op.OUTER_INV, op is not Op.OUTER_CLEAN
    missed = may_miss(platform, op)

    def effect(caches: Caches) -> Iterable[Caches]:
        cleaned = clean(caches, levels)
        results = [invalidate(cleaned, levels) if invalidates else cleaned]
        if invalidates and not cleans:
            discarded = invalidate(caches, levels)
            results = [discarded, *results] if by_va_or_set_way else [discarded]
        return [*results, caches] if missed else results

    return effect


# --- A cell with the operations that are pending on its line ----------------------------------


class Pending(NamedTuple):
    """An operation that a PE issued and that may or may not have taken effect."""

    op: Op
    ordered: bool  # a DMB of the issuer came after it: all its later accesses see it done


Queue = tuple[int, tuple[Pending, ...]]  # (PE, its operations in program order)


class Configuration(NamedTuple):
    """One thing the hardware may be doing: the caches, and what is still pending, per PE."""

    caches: Caches
    queues: tuple[Queue, ...]  # sorted by PE, no empty queue

    def queue(self, pe: int) -> tuple[Pending, ...]:
        return dict(self.queues).get(pe, ())

    def with_queue(self, pe: int, queue: tuple[Pending, ...]) -> Configuration:
        queues = {**dict(self.queues), pe: queue}
        return self._replace(queues=tuple(sorted((p, q) for p, q in queues.items() if q)))


@dataclass(frozen=True, slots=True)
class Cell:
    """All configurations that may be, after some word of events: the literal subset construction."""

    platform: Platform
    configurations: frozenset[Configuration]
    mmu_off: frozenset[int] = frozenset()  # PEs with MMU and caches off
    pes: int = 1  # PEs there are, for the fill switch
    uncached_stores: frozenset[int] = frozenset()  # PEs with an nc/dev store since their last DMB/DSB

    @staticmethod
    def initial(platform: Platform, pes: int | None = None) -> Cell:
        """Return the cell before anything happened, every PE with its MMU on."""
        start = frozenset({Configuration(at_reset(platform), ())})
        return Cell(platform, start, pes=pes or platform.pes)._settled()

    @property
    def fill(self) -> bool:
        """Whether caches may fill on their own: some PE has its MMU and caches on. Facts C3 (b)."""
        return len(self.mmu_off) < self.pes

    def moves(self, c: Configuration) -> Iterator[tuple[str, Configuration]]:
        """Yield every silent move, pending operations that take effect among them."""
        for words, caches in silent_moves(c.caches, fill=self.fill):
            yield words, c._replace(caches=caches)
        for pe, queue in c.queues:
            for caches in maintain(self.platform, queue[0].op)(c.caches):
                done = c._replace(caches=caches).with_queue(pe, queue[1:])
                yield f"P{pe}'s {queue[0].op.spelling} takes effect", done

    def _settled(self) -> Cell:
        seen = set(self.configurations)
        todo = list(seen)
        while todo:
            for _, after in self.moves(todo.pop()):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return replace(self, configurations=frozenset(seen))

    def _keep(self, allowed: Callable[[Configuration], bool]) -> Cell:
        return replace(self, configurations=frozenset(filter(allowed, self.configurations)))

    def _apply(self, effect: Effect) -> Cell:
        after = frozenset(
            c._replace(caches=caches) for c in self.configurations for caches in effect(c.caches)
        )
        return replace(self, configurations=after)._settled()

    def _seen_by(self, pe: int | None, kind: Kind) -> Cell:
        """Keep what the issuer's own access may meet. Facts C9.

        A write-back access sees the PE's earlier maintenance of the line done; any access sees
        what a DMB of the PE put before it done.
        """
        if pe is None:
            return self
        if kind is Kind.WB:
            return self._keep(lambda c: not c.queue(pe))
        return self._keep(lambda c: not any(p.ordered for p in c.queue(pe)))

    def store(self, pe: int | None, kind: Kind, *, own: bool) -> Cell:
        """A store of `pe` (None: of nobody in particular) to this cell, or to a neighbour."""
        before = self._seen_by(pe, kind)
        if pe is not None and kind in (Kind.NC, Kind.DEV):
            before = replace(before, uncached_stores=self.uncached_stores | {pe})
        if kind is Kind.WB:
            return before._apply(store_wb if own else store_wb_neighbour)
        if not own:
            return before
        return before._apply(store_wt if kind is Kind.WT else store_nc)

    def load(self, pe: int | None, kind: Kind) -> Cell:
        """A load of `pe` anywhere in the line; `reads` tells what it may get."""
        before = self._seen_by(pe, kind)
        return before._apply(demand_fill) if kind in (Kind.WB, Kind.WT) else before

    def walk(self, kind: Kind) -> Cell:
        """A table walk's read. Not ordered by the PE's barriers short of DSB, so nobody's access."""
        return self.load(None, kind)

    def dma_write(self, *, coherent: bool, own: bool) -> Cell:
        """A device's write to this cell, or to a neighbour."""
        if not own:
            return self
        return self._apply(dma_write_coherent if coherent else store_nc)

    def issue(self, pe: int, op: Op) -> Cell:
        """A data maintenance instruction: pending until it takes effect, at the PE's DSB at last.

        After an nc/dev store of the PE to the line with no barrier in between it may also act as
        if it came before that store: no effect. Facts C9.
        """
        issued = frozenset(
            c.with_queue(pe, (*c.queue(pe), Pending(op, False))) for c in self.configurations
        )
        if pe in self.uncached_stores:
            issued |= self.configurations
        return replace(self, configurations=issued)._settled()

    def outer(self, op: Op) -> Cell:
        """An operation of the outer-cache controller: complete at once. Facts A14."""
        return self._apply(maintain(self.platform, op))

    def dmb(self, pe: int) -> Cell:
        """Order the PE's maintenance before its later accesses. Facts C9."""
        ordered = frozenset(
            c.with_queue(pe, tuple(Pending(p.op, True) for p in c.queue(pe)))
            for c in self.configurations
        )
        return replace(
            self, configurations=ordered, uncached_stores=self.uncached_stores - {pe}
        )

    def dsb(self, pe: int) -> Cell:
        """Complete the PE's maintenance. Facts C9."""
        completed = self._keep(lambda c: not c.queue(pe))
        return replace(completed, uncached_stores=self.uncached_stores - {pe})

    def mmu(self, pe: int, *, on: bool) -> Cell:
        """The PE switches its MMU and caches. Facts C3 (b), C12. Only the platform's PEs count."""
        if pe >= self.pes:
            return self
        mmu_off = self.mmu_off - {pe} if on else self.mmu_off | {pe}
        return replace(self, mmu_off=mmu_off)._settled()

    def reads(self, kind: Kind) -> bool:
        """Return whether a data access, walk or DMA read of this kind may get a stale value now."""
        return any(may_read_stale(c.caches, kind) for c in self.configurations)

    def fetch_source(self, kind: Kind, pou: int) -> bool:
        """Return whether an instruction fetch may get a stale value from behind the I-cache."""
        return any(
            not (c.caches.view(pou) if kind is Kind.WB else c.caches.memory_latest)
            for c in self.configurations
        )


def may_read_stale(caches: Caches, kind: Kind) -> bool:
    """Return whether these caches give a read of this kind a stale value.

    Write-back reads at level 0, Non-cacheable and Device memory; Write-Through may be implemented
    as either (facts C18).
    """
    cached, uncached = not caches.view(0), not caches.memory_latest
    return {
        Kind.WB: cached,
        Kind.WT: cached or uncached,
        Kind.NC: uncached,
        Kind.DEV: uncached,
    }[kind]
