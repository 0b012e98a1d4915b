"""The instruction side of a line, for one 4-byte instruction and all PEs.

Every PE's I-cache may have fetched the instruction at any time while a mapping allowed it, so what
counts is whether it may hold something older than what software last made visible. The two fetch
attributes are kept apart: write-back fetches refill from the Point of Unification, Non-cacheable ones
from memory. Facts C9, C12, C14, B1.14.

Left out: aliases of a VIPT I-cache (there is one VA here), prefetch depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocwatch.arch.ops import Kind, Op

KINDS = (Kind.WB, Kind.NC)
View = tuple[int, Kind]  # what one PE fetches with one attribute


@dataclass(frozen=True, slots=True)
class Window:
    """An I-cache invalidation between its issue and its issuer's DSB.

    It acts somewhere in between, so a view is coherent afterwards only if nothing could have put
    something old into the I-cache in the whole window.
    """

    issuer: int
    pes: frozenset[int]
    tainted: frozenset[View]


@dataclass(frozen=True, slots=True)
class FetchSide:
    """What the PEs' I-caches and pipelines may hold of an instruction.

    `stale`: the I-cache may hold an old value. `unsynced`: no context synchronisation event since
    the view became coherent. `sources`: fetch kinds whose source behind the I-cache may be stale.
    """

    pes: frozenset[int]
    dic: bool
    stale: frozenset[View] = frozenset()
    unsynced: frozenset[View] = frozenset()
    sources: frozenset[Kind] = frozenset()
    windows: tuple[Window, ...] = ()

    def _views(self, pes: frozenset[int], kinds: frozenset[Kind]) -> frozenset[View]:
        return frozenset((pe, kind) for pe in pes for kind in kinds)

    def _tainted(self, views: frozenset[View]) -> FetchSide:
        windows = tuple(replace(w, tainted=w.tainted | views) for w in self.windows)
        return replace(self, windows=windows)

    def _settled(self) -> FetchSide:
        incoherent = self.stale | self._views(self.pes, self.sources)
        return replace(self, unsynced=self.unsynced | incoherent)

    def written(self) -> FetchSide:
        """The instruction's cell was written: any I-cache may have fetched before. Facts C14."""
        everything = self._views(self.pes, frozenset(KINDS))
        if self.dic:
            return replace(self, unsynced=everything)
        stale = replace(self, stale=everything, unsynced=everything)
        return stale._tainted(everything)

    def sourced(self, sources: frozenset[Kind]) -> FetchSide:
        """The data side moved: these kinds of fetch may now get a stale value from their source."""
        return replace(self, sources=sources)._tainted(self._views(self.pes, sources))._settled()

    def invalidate(self, pe: int, op: Op) -> FetchSide:
        """An instruction cache maintenance instruction was issued. Facts C5."""
        reached = frozenset({pe}) if op is Op.IC_IALLU else self.pes
        window = Window(pe, reached, self._views(self.pes, self.sources))
        # An earlier window of the same issuer and reach ends with this one and allows no more.
        kept = tuple(w for w in self.windows if w.issuer != pe or not w.pes <= reached)
        return replace(self, windows=(*kept, window))

    def dsb(self, pe: int) -> FetchSide:
        """The PE's invalidations are complete. Facts C9.

        They acted after all that came before they were issued, so of that nothing is left for
        windows of other PEs, either.
        """
        stale, windows = self.stale, self.windows
        for done in (w for w in self.windows if w.issuer == pe):
            reached = self._views(done.pes, frozenset(KINDS))
            stale = (stale - reached) | (done.tainted & reached)
            windows = tuple(
                replace(w, tainted=(w.tainted - reached) | (w.tainted & done.tainted & reached))
                for w in windows
            )
        windows = tuple(w for w in windows if w.issuer != pe)
        return replace(self, stale=stale, windows=windows)._settled()

    def synchronise(self, pe: int) -> FetchSide:
        """A context synchronisation event of the PE: views that are coherent now become fresh."""
        synced = frozenset(
            (pe, kind)
            for kind in KINDS
            if (pe, kind) not in self.stale and kind not in self.sources
        )
        return replace(self, unsynced=self.unsynced - synced)

    def verdict(self, pe: int, kind: Kind) -> str:
        """Return "stale", "unsynced" or "fresh" for a fetch."""
        if (pe, kind) in self.stale or kind in self.sources:
            return "stale"
        return "unsynced" if (pe, kind) in self.unsynced else "fresh"

    def fetched(self, pe: int, kind: Kind) -> FetchSide:
        """A fetch happened; from a stale source it spoils the PE's one physical I-cache.

        Facts B1.14: an MMU-off vCPU spoils the I-cache for another.
        """
        if kind not in self.sources:
            return self
        spoiled = self._views(frozenset({pe}), frozenset(KINDS))
        return replace(self, stale=self.stale | spoiled)._tainted(spoiled)._settled()
