"""What Linux v5.16 does."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.linux import (
    CLEAN_INVALIDATE_POC,
    INVALIDATE_I_ALL,
    INVALIDATE_I_BY_VA,
    NOTHING,
    Operations,
)
from pocwatch.kvm.policy import Access, AtEl2, Occasion
from pocwatch.platforms import ICache, Platform


def invalidate_icache_guest_page(occasion: Occasion) -> Operations:
    """Return what makes a page executable; a VPIPT cache is dealt with where TLBs are invalidated.

    Linux __invalidate_icache_guest_page() of v5.16; it no longer knows AIVIVT caches, taken as
    aliasing here. Facts B1.9, B1.10, B1.11.
    """
    platform = occasion.platform
    if platform.dic or platform.icache is ICache.VPIPT:
        return NOTHING
    return INVALIDATE_I_BY_VA if platform.icache is ICache.PIPT else INVALIDATE_I_ALL


class Mainline2021:
    """Clean and invalidate to the PoC whenever a page is mapped or unmapped; nothing with FWB."""

    name = "mainline-2021"
    origin = (
        "Linux v5.16: 8f36ebaf21fd, d0e22b4ac3ba, a9c0e12ebee5, e48d53a91f6e, 01dc9262ff57, "
        "25aa28691bb9; facts B1.8 to B1.14"
    )
    traps_set_way = True

    def forces_wb(self, platform: Platform) -> bool:
        """HCR_EL2.FWB where the CPU has FEAT_S2FWB (B1.12)."""
        return platform.stage2_forces_wb

    def traps_mmu(self, platform: Platform) -> bool:
        """HCR_EL2.TVM is not set with FWB (B1.12)."""
        return not platform.stage2_forces_wb

    def executable_on_fetch(self, platform: Platform) -> bool:
        """With DIC pages are executable at once (B1.10)."""
        return not platform.dic

    def unmaps_at_reset(self, platform: Platform) -> bool:
        """With FWB stage2_unmap_vm() is not needed (B1.12)."""
        return not platform.stage2_forces_wb

    def at_map(self, occasion: Occasion) -> Operations:
        """Linux stage2_map_walker_try_leaf(): before the entry is published."""
        cleaned = NOTHING if occasion.platform.stage2_forces_wb else CLEAN_INVALIDATE_POC
        if not occasion.executable:
            return cleaned
        return (*cleaned, *invalidate_icache_guest_page(occasion))

    def at_permission_fault(self, occasion: Occasion) -> Operations:
        """Linux kvm_pgtable_stage2_relax_perms(): only what adding execute permission takes."""
        if occasion.access is not Access.FETCH:
            return NOTHING
        return invalidate_icache_guest_page(occasion)

    def at_unmap(self, occasion: Occasion) -> Operations:
        """Linux stage2_unmap_walker(); __kvm_tlb_flush_vmid_ipa() for VPIPT caches."""
        invalidated: Operations = NOTHING
        if occasion.platform.icache is ICache.VPIPT:
            invalidated = (AtEl2(Op.IC_IALLUIS), Op.DSB)
        if occasion.platform.stage2_forces_wb:
            return invalidated
        return (*invalidated, *CLEAN_INVALIDATE_POC)

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        """Linux kvm_toggle_cache()."""
        return CLEAN_INVALIDATE_POC

    def at_set_way_trap(self, occasion: Occasion) -> Operations:
        """Linux kvm_set_way_flush()."""
        return CLEAN_INVALIDATE_POC

    def at_reset(self, occasion: Occasion) -> Operations:
        """Linux kvm_arch_vcpu_ioctl_vcpu_init(): icache_inval_all_pou() instead of the unmapping."""
        if occasion.platform.stage2_forces_wb and not occasion.platform.dic:
            return INVALIDATE_I_ALL
        return NOTHING

    def at_vcpu_load(self, occasion: Occasion) -> Operations:
        """Linux __kvm_flush_cpu_context(): another vCPU of the VM ran here last (B1.14)."""
        return (AtEl2(Op.IC_IALLU), Op.DSB, Op.ISB)
