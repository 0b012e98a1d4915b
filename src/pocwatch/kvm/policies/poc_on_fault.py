"""The patch that the thread is about."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import (
    CLEAN_INVALIDATE_POC,
    Operations,
    coherent_icache_guest_page,
)
from pocwatch.kvm.policy import Occasion
from pocwatch.platforms import ICache


class PocOnFault:
    """As before, and in the PIPT branch clean the page to the PoC as well."""

    name = "poc-on-fault"
    origin = (
        "2013-08-14 \"ARM64: KVM: Fix coherent_icache_guest_page() for host with external L3-cache\"; "
        "facts A1"
    )

    def at_data_fault(self, occasion: Occasion) -> Operations:
        """The patch touches the PIPT branch only (fact A1, reading of the diff)."""
        done = coherent_icache_guest_page(occasion)
        if occasion.platform.icache is ICache.PIPT:
            return (*done, *CLEAN_INVALIDATE_POC)
        return done

    at_prefetch_fault = at_data_fault
    at_permission_fault = at_data_fault
