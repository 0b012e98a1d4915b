"""Hypervisors with one bug each, for `pocwatch check --policy corpus/policies.py`.

Each is mainline, or what it was a bug of, with one thing wrong; the number in a name is the case's.
"""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.default_cacheable import DefaultCacheable
from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, INVALIDATE_I_ALL
from pocwatch.kvm.policies.mainline_2021 import Mainline2021, invalidate_icache_guest_page
from pocwatch.kvm.policies.xen_2014 import Xen2014
from pocwatch.kvm.policy import Occasion, Operation

Operations = tuple[Operation, ...]
NOTHING: Operations = ()


class Bug1a(Mainline2021):
    """Wrong mask: no mapped page counts as cacheable. Pages are clean when they are mapped."""

    name = "bug-1a"
    origin = "Linux 6d9d2115c480"

    def at_unmap(self, occasion: Occasion) -> Operations:
        return NOTHING

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        return NOTHING

    def at_set_way_trap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug1(Mainline2021):
    """The same mask where mapping asks for it, too: nothing is cleaned then."""

    name = "bug-1"
    origin = "Linux 6d9d2115c480, as if in 25aa28691bb9"

    def at_map(self, occasion: Occasion) -> Operations:
        return invalidate_icache_guest_page(occasion) if occasion.executable else NOTHING

    def at_unmap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug2(Mainline2021):
    """I-caches are not invalidated between vCPUs of a VM."""

    name = "bug-2"
    origin = "Linux before 01dc9262ff57"

    def at_vcpu_load(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug4(Mainline2021):
    """Nothing on unmap."""

    name = "bug-4"
    origin = "Linux before 363ef89f8e9b"

    def at_unmap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug5(Mainline2021):
    """Nothing when the guest switches its caches."""

    name = "bug-5"
    origin = "Linux before 9d218a1fcf4c"

    def at_mmu_trap(self, occasion: Occasion) -> Operations:
        return NOTHING


class Bug6(Mainline2021):
    """Set/way operations of the guest are not trapped."""

    name = "bug-6"
    origin = "Linux before 3c1e71650833"
    traps_set_way = False


class Bug10(Mainline2021):
    """Pages that the MMU notifier maps are not cleaned."""

    name = "bug-10"
    origin = 'Linux before "Clean dcache to PoC when changing PTE due to CoW"'

    def at_map(self, occasion: Occasion) -> Operations:
        return NOTHING if occasion.access is None else super().at_map(occasion)


class Bug20(DefaultCacheable):
    """HCR_EL2.DC until M is set, for a guest that sets C later."""

    name = "bug-20"
    origin = "Xen 89eb02c220"


class Bug23(Xen2014):
    """The toolstack patches code, I-caches stay as they are."""

    name = "bug-23"
    origin = "Xen before fe6e8188f3"


class Fixed23(Xen2014):
    """I-caches too, for XEN_DOMCTL_cacheflush; later at allocation as well."""

    name = "fixed-23"
    origin = "Xen fe6e8188f3"

    def at_allocation(self, occasion: Occasion) -> Operations:
        return (*CLEAN_INVALIDATE_POC, *INVALIDATE_I_ALL)

    def at_user_space_write(self, occasion: Occasion) -> Operations:
        return (*CLEAN_INVALIDATE_POC, *INVALIDATE_I_ALL)


class Bug24(Mainline2021):
    """An I-cache invalidation that nobody waits for."""

    name = "bug-24"
    origin = "Xen before fc34707ae1"

    def at_map(self, occasion: Occasion) -> Operations:
        invalidated = (Op.IC_IALLUIS,) if occasion.executable else NOTHING
        return (*CLEAN_INVALIDATE_POC, *invalidated)


class Bug26(Fixed23):
    """Pages are cleaned before they are scrubbed, not after."""

    name = "bug-26"
    origin = "Xen before 3b1cc15f19 (XSA-364)"

    def at_unmap(self, occasion: Occasion) -> Operations:
        return CLEAN_INVALIDATE_POC

    def at_allocation(self, occasion: Occasion) -> Operations:
        return INVALIDATE_I_ALL
