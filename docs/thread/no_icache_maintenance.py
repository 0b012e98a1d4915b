"""The data side is cleaned on every mapping and unmapping; instruction caches are left to themselves."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policy import Occasion


class NoIcacheMaintenance:
    """What the AIVIVT branch of 2013 did for fetches, which was nothing, with the data side solved."""

    name = "no-icache-maintenance"
    origin = "coherent_icache_guest_page() of Linux v3.11, its last branch; facts A23"
    unmaps_at_reset = True

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        """Data only."""
        return (Op.DC_CIVAC, Op.DSB)

    def at_unmap(self, occasion: Occasion) -> tuple[Op, ...]:
        """Data only."""
        return (Op.DC_CIVAC, Op.DSB)
