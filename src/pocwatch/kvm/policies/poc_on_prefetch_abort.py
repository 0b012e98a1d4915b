"""Option 3 of the thread: only instruction aborts."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, INVALIDATE_I_ALL, Operations
from pocwatch.kvm.policy import Access, Occasion


class PocOnPrefetchAbort:
    """A PoC variant of flush_icache_range(), on stage 2 prefetch aborts only."""

    name = "poc-on-prefetch-abort"
    origin = "the thread's option 3; facts A16"

    def at_prefetch_fault(self, occasion: Occasion) -> Operations:
        """Clean and invalidate to the PoC, then the instruction side."""
        return (*CLEAN_INVALIDATE_POC, *INVALIDATE_I_ALL)

    def at_permission_fault(self, occasion: Occasion) -> Operations:
        """A prefetch abort may also be a permission fault."""
        return self.at_prefetch_fault(occasion) if occasion.access is Access.FETCH else ()
