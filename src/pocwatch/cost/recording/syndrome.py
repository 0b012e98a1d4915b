"""What an exception to EL2 from a guest was, from ESR_EL2.

Arm ARM DDI 0487, "ESR_EL2, Exception Syndrome Register (EL2)" and its ISS encodings. Left out: what
only newer features trap (other exceptions keep their class as a number), nested virtualisation.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from pocwatch.kvm.policy import Access


class FaultKind(enum.Enum):
    """Why stage 2 did not allow an access."""

    TRANSLATION = "translation"
    ACCESS_FLAG = "access flag"
    PERMISSION = "permission"
    OTHER = "other"


_WFX, _HVC64, _SMC64, _SYSTEM = 0x01, 0x16, 0x17, 0x18
INSTRUCTION_ABORT, DATA_ABORT = 0x20, 0x24  # from a lower EL
_REASONS: Mapping[int, str] = {
    _WFX: "WFI or WFE",
    0x07: "FP and SIMD",
    _HVC64: "HVC",
    _SMC64: "SMC",
    0x19: "SVE",
    0x3C: "BRK",
}
# By DFSC[5:2]; the levels below 0 have codes of their own.
_KINDS = {1: FaultKind.TRANSLATION, 2: FaultKind.ACCESS_FLAG, 3: FaultKind.PERMISSION}
_TRANSLATION_BELOW_0 = {0b101010: -2, 0b101011: -1}

# What HCR_EL2.TVM traps writes of, as (op0, op1, CRn, CRm, op2). Arm ARM, "HCR_EL2", TVM.
TVM: Mapping[tuple[int, int, int, int, int], str] = {
    (3, 0, 1, 0, 0): "SCTLR_EL1",
    (3, 0, 2, 0, 0): "TTBR0_EL1",
    (3, 0, 2, 0, 1): "TTBR1_EL1",
    (3, 0, 2, 0, 2): "TCR_EL1",
    (3, 0, 5, 1, 0): "AFSR0_EL1",
    (3, 0, 5, 1, 1): "AFSR1_EL1",
    (3, 0, 5, 2, 0): "ESR_EL1",
    (3, 0, 6, 0, 0): "FAR_EL1",
    (3, 0, 10, 2, 0): "MAIR_EL1",
    (3, 0, 10, 3, 0): "AMAIR_EL1",
    (3, 0, 13, 0, 1): "CONTEXTIDR_EL1",
}
# HCR_EL2.TSW.
SET_WAY: Mapping[tuple[int, int, int, int, int], str] = {
    (1, 0, 7, 6, 2): "DC ISW",
    (1, 0, 7, 10, 2): "DC CSW",
    (1, 0, 7, 14, 2): "DC CISW",
}


@dataclass(frozen=True, slots=True)
class Abort:
    """A stage 2 abort; `of_walk`: of the guest's own table walk (S1PTW)."""

    kind: FaultKind
    access: Access
    of_walk: bool
    level: int


def exception_class(esr: int) -> int:
    """Return ESR_EL2.EC."""
    return esr >> 26 & 63


def abort(esr: int) -> Abort | None:
    """Return the abort that the syndrome tells of, None if it tells of something else.

    What a walk reads and what maintenance needs count as reads: WnR says otherwise for DCs.
    """
    ec, code = exception_class(esr), esr & 63
    if ec not in (INSTRUCTION_ABORT, DATA_ABORT):
        return None
    of_walk, maintenance, write = bool(esr >> 7 & 1), bool(esr >> 8 & 1), bool(esr >> 6 & 1)
    if ec == INSTRUCTION_ABORT:
        access = Access.FETCH
    else:
        access = Access.WRITE if write and not maintenance and not of_walk else Access.READ
    if code in _TRANSLATION_BELOW_0:
        return Abort(FaultKind.TRANSLATION, access, of_walk, _TRANSLATION_BELOW_0[code])
    return Abort(_KINDS.get(code >> 2, FaultKind.OTHER), access, of_walk, code & 3)


@dataclass(frozen=True, slots=True)
class RegisterAccess:
    """A trapped MRS, MSR or SYS; `name` is only known of what TVM and TSW trap."""

    name: str
    write: bool
    by_tvm: bool
    by_tsw: bool


def register_access(esr: int) -> RegisterAccess | None:
    """Return the trapped access of a system register, None if the syndrome is another's."""
    if exception_class(esr) != _SYSTEM:
        return None
    key = (esr >> 20 & 3, esr >> 14 & 7, esr >> 10 & 15, esr >> 1 & 15, esr >> 17 & 7)
    write = not esr & 1
    known = TVM.get(key) or SET_WAY.get(key)
    name = known or "S{}_{}_C{}_C{}_{}".format(*key)
    return RegisterAccess(name, write, write and key in TVM, key in SET_WAY)


def reason(esr: int) -> str:
    """Return what else made the guest leave, in a word or two."""
    ec = exception_class(esr)
    return _REASONS.get(ec, f"exception class {ec:#04x}")
