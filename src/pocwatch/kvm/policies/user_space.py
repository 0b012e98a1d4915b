"""User space cleans what it wrote."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.linux import FaultsOf2013, Operations
from pocwatch.kvm.policy import Occasion


class UserSpace(FaultsOf2013):
    """kvmtool cleans to the PoC, by VA, whatever it writes to guest RAM, and makes it executable.

    EL0 may execute DC CVAC and IC IVAU (SCTLR_EL1.UCI), so this needs no help of the kernel.
    """

    name = "user-space"
    origin = "the thread, Zyngier; tried by Xen in a0035ecc0d, reverted in 4fad2dc72a; facts A3, A4"

    def at_user_space_write(self, occasion: Occasion) -> Operations:
        """Clean, then __clear_cache()."""
        return (Op.DC_CVAC, Op.DSB, Op.IC_IVAU, Op.DSB, Op.ISB)
