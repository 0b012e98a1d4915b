"""Encodings of the DC, IC and TLBI instructions, as data.

Each is SYS #op1, Cn, Cm, #op2{, Xt}. Arm ARM DDI 0487, "System instruction class encoding
overview". DC instructions on Allocation Tags move data only if they name data too; facts C5, C17.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocwatch.arch.ops import Op

_SYS = 0xD508_0000
_NO_REGISTER = 31


@dataclass(frozen=True, slots=True)
class SystemInstruction:
    """One System instruction: its spelling, encoding fields and what it does to a line."""

    spelling: str  # as an assembler takes it, without the register
    op1: int
    crn: int
    crm: int
    op2: int
    takes_address: bool
    op: Op | None  # None: nothing that the line model knows

    def encode(self, rt: int = _NO_REGISTER) -> int:
        """Return the A64 word with that register."""
        return _SYS | self.op1 << 16 | self.crn << 12 | self.crm << 8 | self.op2 << 5 | rt


# Spelling, op1, CRm, op2, operation; CRn is 7. A clean to the Point of Deep Persistence acts as
# one to the PoP, and an operation on data and tags as the one on data.
_DC: tuple[tuple[str, int, int, int, Op | None], ...] = (
    ("ivac", 0, 6, 1, Op.DC_IVAC),
    ("isw", 0, 6, 2, Op.DC_ISW),
    ("igvac", 0, 6, 3, None),
    ("igsw", 0, 6, 4, None),
    ("igdvac", 0, 6, 5, Op.DC_IVAC),
    ("igdsw", 0, 6, 6, Op.DC_ISW),
    ("csw", 0, 10, 2, Op.DC_CSW),
    ("cgsw", 0, 10, 4, None),
    ("cgdsw", 0, 10, 6, Op.DC_CSW),
    ("cisw", 0, 14, 2, Op.DC_CISW),
    ("cigsw", 0, 14, 4, None),
    ("cigdsw", 0, 14, 6, Op.DC_CISW),
    ("zva", 3, 4, 1, Op.DC_ZVA),
    ("gva", 3, 4, 3, None),
    ("gzva", 3, 4, 4, Op.DC_ZVA),
    ("cvac", 3, 10, 1, Op.DC_CVAC),
    ("cgvac", 3, 10, 3, None),
    ("cgdvac", 3, 10, 5, Op.DC_CVAC),
    ("cvau", 3, 11, 1, Op.DC_CVAU),
    ("cvap", 3, 12, 1, Op.DC_CVAP),
    ("cgvap", 3, 12, 3, None),
    ("cgdvap", 3, 12, 5, Op.DC_CVAP),
    ("cvadp", 3, 13, 1, Op.DC_CVAP),
    ("cgvadp", 3, 13, 3, None),
    ("cgdvadp", 3, 13, 5, Op.DC_CVAP),
    ("civac", 3, 14, 1, Op.DC_CIVAC),
    ("cigvac", 3, 14, 3, None),
    ("cigdvac", 3, 14, 5, Op.DC_CIVAC),
)
_IC: tuple[tuple[str, int, int, int, Op], ...] = (
    ("ialluis", 0, 1, 0, Op.IC_IALLUIS),
    ("iallu", 0, 5, 0, Op.IC_IALLU),
    ("ivau", 3, 5, 1, Op.IC_IVAU),
)
# Spelling, op1, op2, takes an address or ASID; CRn is 8. CRm: 7 plain, 3 Inner, 1 Outer Shareable.
_TLBI: tuple[tuple[str, int, int, bool], ...] = (
    ("vmalle1", 0, 0, False),
    ("vae1", 0, 1, True),
    ("aside1", 0, 2, True),
    ("vaae1", 0, 3, True),
    ("vale1", 0, 5, True),
    ("vaale1", 0, 7, True),
    ("alle2", 4, 0, False),
    ("vae2", 4, 1, True),
    ("alle1", 4, 4, False),
    ("vale2", 4, 5, True),
    ("vmalls12e1", 4, 6, False),
    ("alle3", 6, 0, False),
    ("vae3", 6, 1, True),
    ("vale3", 6, 5, True),
)
# By range of addresses (FEAT_TLBIRANGE). CRm: 6 plain, 2 Inner, 5 Outer Shareable.
_TLBI_RANGE: tuple[tuple[str, int, int], ...] = (
    ("rvae1", 0, 1),
    ("rvaae1", 0, 3),
    ("rvale1", 0, 5),
    ("rvaale1", 0, 7),
    ("rvae2", 4, 1),
    ("rvale2", 4, 5),
    ("rvae3", 6, 1),
    ("rvale3", 6, 5),
)
# By IPA; op1 is 4. Spelling, CRm, op2.
_TLBI_IPA: tuple[tuple[str, int, int], ...] = (
    ("ipas2e1is", 0, 1),
    ("ripas2e1is", 0, 2),
    ("ipas2le1is", 0, 5),
    ("ripas2le1is", 0, 6),
    ("ipas2e1os", 4, 0),
    ("ipas2e1", 4, 1),
    ("ripas2e1", 4, 2),
    ("ripas2e1os", 4, 3),
    ("ipas2le1os", 4, 4),
    ("ipas2le1", 4, 5),
    ("ripas2le1", 4, 6),
    ("ripas2le1os", 4, 7),
)

SYSTEM_INSTRUCTIONS: tuple[SystemInstruction, ...] = (
    *(SystemInstruction(f"dc {n}", op1, 7, crm, op2, True, op) for n, op1, crm, op2, op in _DC),
    *(
        SystemInstruction(f"ic {n}", op1, 7, crm, op2, op is Op.IC_IVAU, op)
        for n, op1, crm, op2, op in _IC
    ),
    *(
        SystemInstruction(f"tlbi {n}{suffix}", op1, 8, crm, op2, takes_address, None)
        for n, op1, op2, takes_address in _TLBI
        for suffix, crm in (("", 7), ("is", 3), ("os", 1))
    ),
    *(
        SystemInstruction(f"tlbi {n}{suffix}", op1, 8, crm, op2, True, None)
        for n, op1, op2 in _TLBI_RANGE
        for suffix, crm in (("", 6), ("is", 2), ("os", 5))
    ),
    *(SystemInstruction(f"tlbi {n}", 4, 8, crm, op2, True, None) for n, crm, op2 in _TLBI_IPA),
)
_BY_ENCODING = {instruction.encode(0): instruction for instruction in SYSTEM_INSTRUCTIONS}


def decode_system_instruction(word: int) -> SystemInstruction | None:
    """Return the DC, IC or TLBI instruction that an A64 word is, None if it is none."""
    return _BY_ENCODING.get(word & ~0x1F)
