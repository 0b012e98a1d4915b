"""How a guest's accesses look at memory, for SCTLR_EL1, HCR_EL2.DC and KVM's stage 2, by hand.

Facts A8 to A10, B1.14, C12, C13.
"""

from __future__ import annotations

import pytest

from pocwatch import platforms
from pocwatch.arch.attributes import Normal
from pocwatch.arch.ops import Kind
from pocwatch.kvm.guest import GUEST_NC, GUEST_WB, Sctlr, Stage2, data_kind, fetch_kinds
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import decide

OFF, M_ONLY, C_ONLY, I_ONLY = Sctlr(), Sctlr(m=True), Sctlr(c=True), Sctlr(i=True)
ALL_ON = Sctlr(m=True, c=True, i=True)
NORMAL, FORCED, FORCED_DATA, DEVICE = Stage2.NORMAL, Stage2.FORCED, Stage2.FORCED_DATA, Stage2.DEVICE
WB, NC, DEV = Kind.WB, Kind.NC, Kind.DEV


@pytest.mark.parametrize(
    ("sctlr", "dc", "mapped", "stage2", "expected"),
    [
        (OFF, False, GUEST_WB, NORMAL, DEV),  # A9: Device-nGnRnE
        (I_ONLY, False, GUEST_WB, NORMAL, DEV),  # I is of no concern to data
        (C_ONLY, False, GUEST_WB, NORMAL, DEV),  # C12: with M=0 nor is C
        (OFF, True, GUEST_WB, NORMAL, WB),  # A8: HCR_EL2.DC
        (ALL_ON, True, GUEST_NC, NORMAL, WB),  # A8: DC makes the hardware treat M as 0
        (M_ONLY, False, GUEST_WB, NORMAL, NC),  # C12: C=0
        (ALL_ON, False, GUEST_WB, NORMAL, WB),
        (ALL_ON, False, GUEST_NC, NORMAL, NC),  # C13: NC if either says so
        (OFF, False, GUEST_WB, FORCED, WB),  # C13: FWB, 110: Write-Back, even what was Device
        (M_ONLY, False, GUEST_WB, FORCED, WB),
        (ALL_ON, False, GUEST_NC, FORCED, WB),
        (OFF, False, GUEST_WB, FORCED_DATA, WB),
        (OFF, False, GUEST_WB, DEVICE, DEV),
        (OFF, True, GUEST_WB, DEVICE, DEV),  # A10: stage 2 Device wins over DC
        (ALL_ON, False, GUEST_WB, DEVICE, DEV),
    ],
)
def test_attributes_of_data(
    sctlr: Sctlr, dc: bool, mapped: Normal, stage2: Stage2, expected: Kind
) -> None:
    assert data_kind(sctlr, dc, mapped, stage2) is expected


@pytest.mark.parametrize(
    ("sctlr", "dc", "stage2", "expected"),
    [
        (OFF, False, NORMAL, (NC,)),  # A9
        (I_ONLY, False, NORMAL, (WB, NC)),  # A9: Write-Through, held as either (C18)
        (OFF, True, NORMAL, (WB,)),  # A8
        (M_ONLY, False, NORMAL, (NC,)),  # C12: I=0
        (Sctlr(m=True, i=True), False, NORMAL, (WB,)),  # C12: C does not limit fetches
        (ALL_ON, False, NORMAL, (WB,)),
        (OFF, False, FORCED, (WB,)),  # B1.14: the one reading
        (OFF, False, FORCED_DATA, (NC,)),  # B1.14: the other
        (ALL_ON, False, FORCED_DATA, (WB,)),
    ],
)
def test_attributes_of_fetches(
    sctlr: Sctlr, dc: bool, stage2: Stage2, expected: tuple[Kind, ...]
) -> None:
    assert fetch_kinds(sctlr, dc, stage2) == expected


@pytest.mark.parametrize(
    ("scenario_name", "read_as_all", "read_as_data"),
    [("boot-image", "safe", "unsafe"), ("guest-enables-mmu", "safe", "safe")],
)
def test_whether_fwb_forces_fetches_decides_what_is_executed(
    scenario_name: str, read_as_all: str, read_as_data: str
) -> None:
    """B1.14: both readings of the manual can be asked for; Linux relies on the first."""
    fwb = platforms.load("fwb")
    for forced, expected in ((FORCED, read_as_all), (FORCED_DATA, read_as_data)):
        result = decide(SCENARIOS[scenario_name], POLICIES["mainline-2021"], fwb, forced=forced)
        assert result.verdict.value == expected
