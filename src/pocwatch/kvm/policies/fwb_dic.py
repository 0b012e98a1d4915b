"""Stage 2 forces Write-Back and the I-cache needs no maintenance."""

from __future__ import annotations

from pocwatch.kvm.policies.fwb import Fwb
from pocwatch.platforms import Platform


class FwbDic(Fwb):
    """Mainline where the CPU has FEAT_S2FWB and CTR_EL0.DIC: no maintenance at all."""

    name = "fwb-dic"
    origin = "Linux v5.16 with FEAT_S2FWB and CTR_EL0.DIC; facts B1.10, B1.12, B1.19"

    def needs(self, platform: Platform) -> str | None:
        """It takes both features."""
        if not platform.dic:
            return f"{platform.name} does not have CTR_EL0.DIC"
        return super().needs(platform)
