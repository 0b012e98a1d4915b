"""The kernel cleans the data side; who writes code to guest RAM invalidates the I-caches."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policy import Occasion


class InstructionsByUserSpace:
    """As if the host's executable mappings were all that needs I-cache maintenance (facts A22)."""

    name = "instructions-by-user-space"
    origin = "what Dall's swap case is about; facts A22"

    def at_user_space_write(self, occasion: Occasion) -> tuple[Op, ...]:
        """What __clear_cache() does."""
        return (Op.DC_CVAU, Op.DSB, Op.IC_IVAU, Op.DSB, Op.ISB)

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        """The kernel: data only."""
        return (Op.DC_CIVAC, Op.DSB)

    def at_unmap(self, occasion: Occasion) -> tuple[Op, ...]:
        """Before the page is written to the swap device."""
        return (Op.DC_CIVAC, Op.DSB)
