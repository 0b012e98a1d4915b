"""Xen 4.5: pages are cleaned when allocated, and by the toolstack's hypercall after it built a domain."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, Operations
from pocwatch.kvm.policy import Occasion


class Xen2014:
    """Clean and invalidate pages at allocation, and what the toolstack wrote (XEN_DOMCTL_cacheflush)."""

    name = "xen-2014"
    origin = "Xen ed250c2698 (2014-02); facts B7, B8.23"
    not_applicable = {  # noqa: RUF012  # never changed
        "swap": "Xen does not swap guest pages out",
        "reboot": "Xen restarts a guest by building a new domain",
        "cow": "Xen does not share a guest's pages behind its back on Arm",
    }

    def at_allocation(self, occasion: Occasion) -> Operations:
        """Xen flush_page_to_ram(), after scrubbing."""
        return CLEAN_INVALIDATE_POC

    def at_user_space_write(self, occasion: Occasion) -> Operations:
        """Xen XEN_DOMCTL_cacheflush."""
        return CLEAN_INVALIDATE_POC
