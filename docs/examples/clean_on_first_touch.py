"""A policy of your own: each page is made coherent when the guest touches it first."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policy import Access, Occasion

MAKE_EXECUTABLE = (Op.IC_IALLUIS, Op.DSB, Op.ISB)


class CleanOnFirstTouch:
    """Clean and invalidate to the PoC when a page is mapped; invalidate I-caches when it is fetched."""

    name = "clean-on-first-touch"
    origin = "docs/howto-check.md, the second try"
    executable_on_fetch = True

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        """Before the stage 2 entry is written."""
        cleaned = (Op.DC_CIVAC, Op.DSB)
        return cleaned + MAKE_EXECUTABLE if occasion.executable else cleaned

    def at_permission_fault(self, occasion: Occasion) -> tuple[Op, ...]:
        """The guest fetches from a page that was mapped for data."""
        return MAKE_EXECUTABLE if occasion.access is Access.FETCH else ()
