"""Dall's restriction: clean only while the faulting vCPU has its MMU off."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import (
    CLEAN_INVALIDATE_POC,
    Operations,
    coherent_icache_guest_page,
)
from pocwatch.kvm.policy import Occasion


class PocOnFaultMmuOff:
    """Clean to the PoC on faults taken while the guest's MMU or caches are off."""

    name = "poc-on-fault-mmu-off"
    origin = "the thread, Dall; facts A19"

    def at_data_fault(self, occasion: Occasion) -> Operations:
        """Least overhead: boot time only."""
        cleaned = () if occasion.caches_on else CLEAN_INVALIDATE_POC
        return (*cleaned, *coherent_icache_guest_page(occasion))

    at_prefetch_fault = at_data_fault
    at_permission_fault = at_data_fault
