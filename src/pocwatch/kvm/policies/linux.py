"""Pieces of arm64 Linux that several policies are made of."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policy import Occasion, Operation
from pocwatch.platforms import ICache

Operations = tuple[Operation, ...]

NOTHING: Operations = ()
CLEAN_INVALIDATE_POC: Operations = (Op.DC_CIVAC, Op.DSB)  # __flush_dcache_area
CLEAN_POU_INVALIDATE_I: Operations = (  # flush_icache_range
    Op.DC_CVAU,
    Op.DSB,
    Op.IC_IVAU,
    Op.DSB,
    Op.ISB,
)
INVALIDATE_I_BY_VA: Operations = (Op.IC_IVAU, Op.DSB, Op.ISB)
INVALIDATE_I_ALL: Operations = (Op.IC_IALLUIS, Op.DSB, Op.ISB)  # __flush_icache_all


def coherent_icache_guest_page(occasion: Occasion) -> Operations:
    """Return what the function of that name did in 2013, in its three branches. Facts A1, A23.

    Linux arch/arm64/include/asm/kvm_mmu.h of v3.11.
    """
    icache = occasion.platform.icache
    if icache is ICache.PIPT:
        return CLEAN_POU_INVALIDATE_I
    if icache is ICache.AIVIVT:
        return NOTHING
    return INVALIDATE_I_ALL


class FaultsOf2013:
    """The common part of the thread's options: the function above, on faults of every kind."""

    def at_data_fault(self, occasion: Occasion) -> Operations:
        """Linux user_mem_abort() of v3.11."""
        return coherent_icache_guest_page(occasion)

    at_prefetch_fault = at_data_fault
    at_permission_fault = at_data_fault
