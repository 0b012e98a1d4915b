"""What the emulated CPU says of its caches, against what the chosen platform assumes.

CTR_EL0 and CLIDR_EL1: Arm ARM DDI 0487, "CTR_EL0, Cache Type Register" and "CLIDR_EL1, Cache Level
ID Register". Facts C1, C14.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """Cache properties that software reads from registers. Line size in bytes."""

    idc: bool
    dic: bool
    line_size: int

    @classmethod
    def of(cls, ctr: int, clidr: int) -> CpuFacts:
        """Decode the registers. IDC also follows from CLIDR, as Linux derives it (C14)."""
        loc, louis, louu = clidr >> 24 & 7, clidr >> 21 & 7, clidr >> 27 & 7
        no_clean_to_pou = loc == 0 or (louis == 0 and louu == 0)
        return cls(
            idc=bool(ctr >> 28 & 1) or no_clean_to_pou,
            dic=bool(ctr >> 29 & 1),
            line_size=4 << (ctr >> 16 & 0xF),
        )

    def contradictions(self, name: str, idc: bool, dic: bool, line_size: int) -> list[str]:
        """Return a line for each property in which platform `name` differs from the CPU."""
        others = "another -cpu" if name == "auto" else "--platform auto, or another -cpu"
        lines = []
        for what, theirs, ours in (
            ("IDC", int(self.idc), int(idc)),
            ("DIC", int(self.dic), int(dic)),
            ("DminLine", f"{self.line_size} bytes", f"{line_size} bytes"),
        ):
            if theirs != ours:
                lines.append(
                    f"platform {name} has {what}={ours}, the emulated CPU says {what}={theirs}; "
                    "software follows the CPU, so findings may be false or missing: "
                    f"use {others}"
                )
        return lines
