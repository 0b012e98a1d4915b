"""The shipped policies, by name: the thread's designs, what Linux became, and Xen's answer."""

from __future__ import annotations

from pocwatch.kvm import policy
from pocwatch.kvm.policies.clean_ram_at_first_run import CleanRamAtFirstRun
from pocwatch.kvm.policies.default_cacheable import DefaultCacheable
from pocwatch.kvm.policies.fwb import Fwb
from pocwatch.kvm.policies.fwb_dic import FwbDic
from pocwatch.kvm.policies.mainline_2014 import Mainline2014
from pocwatch.kvm.policies.mainline_2015 import Mainline2015
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policies.none import NoMaintenance
from pocwatch.kvm.policies.outer_at_first_run import OuterAtFirstRun
from pocwatch.kvm.policies.poc_on_fault import PocOnFault
from pocwatch.kvm.policies.poc_on_fault_mmu_off import PocOnFaultMmuOff
from pocwatch.kvm.policies.poc_on_prefetch_abort import PocOnPrefetchAbort
from pocwatch.kvm.policies.pou_on_fault import PouOnFault
from pocwatch.kvm.policies.setway_at_first_run import SetwayAtFirstRun
from pocwatch.kvm.policies.user_space import UserSpace
from pocwatch.kvm.policies.xen_2014 import Xen2014

POLICIES: dict[str, policy.Policy] = {
    shipped.name: policy.of(shipped)
    for shipped in (
        NoMaintenance,
        PouOnFault,
        PocOnFault,
        PocOnPrefetchAbort,
        PocOnFaultMmuOff,
        CleanRamAtFirstRun,
        SetwayAtFirstRun,
        OuterAtFirstRun,
        UserSpace,
        DefaultCacheable,
        Mainline2014,
        Mainline2015,
        Mainline2021,
        Fwb,
        FwbDic,
        Xen2014,
    )
}
