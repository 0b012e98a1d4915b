"""The whole data cache by set/way, once."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.linux import FaultsOf2013, Operations
from pocwatch.kvm.policy import Occasion


class SetwayAtFirstRun(FaultsOf2013):
    """Clean and invalidate the whole data cache by set/way before the first vCPU runs."""

    name = "setway-at-first-run"
    origin = "the thread, Patel's earlier second option and Zyngier; facts A6, A7"

    def at_first_run(self, occasion: Occasion) -> Operations:
        """Linux flush_cache_all() of v3.11."""
        return (Op.DC_CISW, Op.DSB)
