"""Exceptions by hand from the layout of ESR_EL2. Arm ARM DDI 0487, "ESR_EL2" and its ISS encodings."""

from __future__ import annotations

import pytest
from recordings import (
    CISW,
    CM,
    DATA_TRANSLATION,
    FETCH_TRANSLATION,
    PERMISSION,
    S1PTW,
    SCTLR,
    WNR,
    system,
)

from pocwatch.cost.recording.syndrome import Abort, FaultKind, abort, reason, register_access
from pocwatch.kvm.policy import Access

T, P = FaultKind.TRANSLATION, FaultKind.PERMISSION


@pytest.mark.parametrize(
    ("esr", "expected"),
    [
        (DATA_TRANSLATION, Abort(T, Access.READ, False, 3)),
        (DATA_TRANSLATION | WNR, Abort(T, Access.WRITE, False, 3)),
        # Maintenance counts as a write in WnR, and a walk's write as what the access was.
        (DATA_TRANSLATION | WNR | CM, Abort(T, Access.READ, False, 3)),
        (DATA_TRANSLATION | WNR | S1PTW, Abort(T, Access.READ, True, 3)),
        (FETCH_TRANSLATION, Abort(T, Access.FETCH, False, 3)),
        (FETCH_TRANSLATION | PERMISSION, Abort(P, Access.FETCH, False, 3)),
        (0x24 << 26 | 0b001010, Abort(FaultKind.ACCESS_FLAG, Access.READ, False, 2)),
        (0x24 << 26 | 0b101011, Abort(T, Access.READ, False, -1)),
        (0x24 << 26 | 0b010000, Abort(FaultKind.OTHER, Access.READ, False, 0)),
        (0x25 << 26 | 0b000111, None),  # from the same EL
        (SCTLR, None),
    ],
)
def test_aborts(esr: int, expected: Abort | None) -> None:
    assert abort(esr) == expected


@pytest.mark.parametrize(
    ("esr", "expected"),
    [
        (SCTLR, ("SCTLR_EL1", True, True, False)),
        (system(3, 0, 1, 0, 0, read=True), ("SCTLR_EL1", False, False, False)),
        (system(3, 0, 2, 0, 1, rt=9), ("TTBR1_EL1", True, True, False)),
        (CISW, ("DC CISW", True, False, True)),
        (system(3, 0, 12, 11, 5), ("S3_0_C12_C11_5", True, False, False)),  # ICC_SGI1R_EL1
    ],
)
def test_register_accesses(esr: int, expected: tuple[str, bool, bool, bool]) -> None:
    access = register_access(esr)
    assert access is not None
    assert (access.name, access.write, access.by_tvm, access.by_tsw) == expected


def test_other_exits() -> None:
    assert register_access(DATA_TRANSLATION) is None
    assert reason(0x16 << 26) == "HVC"
    assert reason(0x33 << 26) == "exception class 0x33"
