"""Option 1 of the thread: all guest RAM, by VA, once."""

from __future__ import annotations

from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC, FaultsOf2013, Operations
from pocwatch.kvm.policy import Occasion


class CleanRamAtFirstRun(FaultsOf2013):
    """Clean all guest memory to the PoC by VA before the first vCPU runs."""

    name = "clean-ram-at-first-run"
    origin = "the thread's option 1, Zyngier and Patel; facts A5"

    def at_first_run(self, occasion: Occasion) -> Operations:
        """All pages that are there by then."""
        return CLEAN_INVALIDATE_POC
