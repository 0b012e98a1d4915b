"""Stage 2 forces Write-Back; instruction caches still need maintenance."""

from __future__ import annotations

from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.platforms import Platform


class Fwb(Mainline2021):
    """Mainline where the CPU has FEAT_S2FWB: no data cache maintenance at all."""

    name = "fwb"
    origin = "Linux v5.16 with FEAT_S2FWB: e48d53a91f6e, 892713e97ca1, K:3e0e7922; facts B1.12"

    def needs(self, platform: Platform) -> str | None:
        """It takes the feature."""
        return None if platform.stage2_forces_wb else f"{platform.name} has no FEAT_S2FWB"
