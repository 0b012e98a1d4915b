"""The code before the patch."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import FaultsOf2013


class PouOnFault(FaultsOf2013):
    """Clean to the PoU and invalidate the I-cache on each stage 2 fault."""

    name = "pou-on-fault"
    origin = "Linux v3.11 coherent_icache_guest_page(); facts A1, A23"
