"""Option 2 of the thread: an outer-cache framework as 32-bit Arm has it."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm.policies.linux import FaultsOf2013, Operations
from pocwatch.kvm.policy import Occasion
from pocwatch.platforms import Platform


class OuterAtFirstRun(FaultsOf2013):
    """The PEs' own caches by set/way, then the outer cache by its controller, at first run."""

    name = "outer-at-first-run"
    origin = "the thread's option 2, Patel; Linux arch/arm outer_flush_all(); facts A14"

    def needs(self, platform: Platform) -> str | None:
        """It takes a cache with a controller of its own."""
        if platform.reached("outer"):
            return None
        return f"{platform.name} has no cache that an outer-cache controller reaches"

    def at_first_run(self, occasion: Occasion) -> Operations:
        """Inner first: what is cleaned goes down."""
        return (Op.DC_CISW, Op.DSB, Op.OUTER_FLUSH)
