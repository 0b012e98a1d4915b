"""The shipped scenarios, by name."""

from __future__ import annotations

from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenarios.anything import ANYTHING
from pocwatch.kvm.scenarios.boot import (
    BOOT_IMAGE,
    GUEST_C_AFTER_M,
    GUEST_ENABLES_MMU,
    GUEST_SETWAY,
    LATE_LOAD,
    LATE_MEMSLOT,
    REBOOT,
)
from pocwatch.kvm.scenarios.devices import DMA_BOOTLOADER, DMA_COHERENT, VGIC_MMIO
from pocwatch.kvm.scenarios.memory import COW, PAGE_RECYCLE, SWAP
from pocwatch.kvm.scenarios.vcpus import (
    GUEST_NC_MAPPING,
    ICACHE_ISOLATION,
    SECOND_VCPU_MMU_OFF,
    VCPU_MIGRATION,
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        BOOT_IMAGE,
        LATE_MEMSLOT,
        LATE_LOAD,
        SWAP,
        COW,
        GUEST_ENABLES_MMU,
        GUEST_C_AFTER_M,
        GUEST_SETWAY,
        SECOND_VCPU_MMU_OFF,
        GUEST_NC_MAPPING,
        VCPU_MIGRATION,
        VGIC_MMIO,
        DMA_BOOTLOADER,
        DMA_COHERENT,
        REBOOT,
        PAGE_RECYCLE,
        ICACHE_ISOLATION,
        ANYTHING,
    )
}
