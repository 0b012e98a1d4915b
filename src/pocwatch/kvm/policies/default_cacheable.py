"""HCR_EL2.DC: a guest with its MMU off is cacheable after all."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import FaultsOf2013


class DefaultCacheable(FaultsOf2013):
    """HCR_EL2.DC=1 while the guest's MMU is off, cleared when it sets SCTLR_EL1.M (trapped)."""

    name = "default-cacheable"
    origin = "the thread, Zyngier's test patch; Xen 89eb02c220, reverted in 878ff4fe18; facts A8"
    default_cacheable = True
