"""What Linux v4.0 had: maintenance on unmap, and set/way trapped."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, Operations
from pocwatch.kvm.policies.mainline_2014 import Mainline2014
from pocwatch.kvm.policy import Occasion


class Mainline2015(Mainline2014):
    """As of 2014; pages are cleaned on unmap, and the guest's set/way operations are trapped."""

    name = "mainline-2015"
    origin = "Linux v4.0: 363ef89f8e9b, 3c1e71650833; facts B1.5, B1.6"
    traps_set_way = True

    def at_unmap(self, occasion: Occasion) -> Operations:
        """Linux kvm_flush_dcache_pte(), after the TLB invalidation."""
        return CLEAN_INVALIDATE_POC

    def at_set_way_trap(self, occasion: Occasion) -> Operations:
        """Linux kvm_set_way_flush(): all pages by VA."""
        return CLEAN_INVALIDATE_POC

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        """Linux kvm_toggle_cache(): on every change."""
        return CLEAN_INVALIDATE_POC
