"""What Linux had at the end of 2014."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import (
    CLEAN_INVALIDATE_POC,
    NOTHING,
    Operations,
    coherent_icache_guest_page,
)
from pocwatch.kvm.policy import Occasion


class Mainline2014:
    """Clean when the faulting vCPU's caches are off, and all pages when it turns them on."""

    name = "mainline-2014"
    origin = (
        "Linux at the end of 2014: 2d58b733c876, 4d44923b17bf, 9d218a1fcf4c (v3.14), 957db105c997 "
        "(v3.19); facts B1.1 to B1.4"
    )
    traps_mmu = True
    unmaps_at_reset = True

    def at_data_fault(self, occasion: Occasion) -> Operations:
        """Linux coherent_cache_guest_page() of v3.14."""
        cleaned = NOTHING if occasion.caches_on else CLEAN_INVALIDATE_POC
        return (*cleaned, *coherent_icache_guest_page(occasion))

    at_prefetch_fault = at_data_fault
    at_permission_fault = at_data_fault

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        """Linux access_sctlr() of v3.14: stage2_flush_vm() when M and C are now set."""
        return CLEAN_INVALIDATE_POC if occasion.caches_on else NOTHING
