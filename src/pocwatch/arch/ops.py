"""Operations of the line model, spelled as `pocwatch line` does, numbered as the C side does.

A data or instruction cache maintenance instruction is a triple (function, by, point); Arm ARM
DDI 0487, "Cache maintenance instructions, functional group". Facts C4, C5.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.IntEnum):
    """Memory attributes of an access, as far as caches are concerned."""

    WB = 0
    WT = 1
    NC = 2
    DEV = 3


class Op(enum.IntEnum):
    """Everything that can happen to a line. The numbers are part of the run-file format."""

    LD = 0
    ST = 1
    TW = 2
    IF = 3
    DMA_RD = 4
    DMA_WR = 5
    DC_ZVA = 6
    DC_CVAC = 7
    DC_CVAP = 8
    DC_CVAU = 9
    DC_CIVAC = 10
    DC_IVAC = 11
    DC_CSW = 12
    DC_CISW = 13
    DC_ISW = 14
    IC_IVAU = 15
    IC_IALLU = 16
    IC_IALLUIS = 17
    OUTER_CLEAN = 18
    OUTER_INV = 19
    OUTER_FLUSH = 20
    DMB = 21
    DSB = 22
    ISB = 23
    MMU_ON = 24
    MMU_OFF = 25

    @property
    def spelling(self) -> str:
        """Return the operation as a word of `pocwatch line` spells it, such as `dc civac`."""
        return _SPELLING[self]


_SPELLING: dict[Op, str] = {
    Op.LD: "ld",
    Op.ST: "st",
    Op.TW: "tw",
    Op.IF: "if",
    Op.DMA_RD: "rd",
    Op.DMA_WR: "wr",
    Op.DC_ZVA: "dc zva",
    Op.DC_CVAC: "dc cvac",
    Op.DC_CVAP: "dc cvap",
    Op.DC_CVAU: "dc cvau",
    Op.DC_CIVAC: "dc civac",
    Op.DC_IVAC: "dc ivac",
    Op.DC_CSW: "dc csw",
    Op.DC_CISW: "dc cisw",
    Op.DC_ISW: "dc isw",
    Op.IC_IVAU: "ic ivau",
    Op.IC_IALLU: "ic iallu",
    Op.IC_IALLUIS: "ic ialluis",
    Op.OUTER_CLEAN: "outer clean",
    Op.OUTER_INV: "outer inv",
    Op.OUTER_FLUSH: "outer flush",
    Op.DMB: "dmb",
    Op.DSB: "dsb",
    Op.ISB: "isb",
    Op.MMU_ON: "mmu on",
    Op.MMU_OFF: "mmu off",
}
BY_SPELLING: dict[str, Op] = {text: op for op, text in _SPELLING.items()}


class By(enum.Enum):
    """How a maintenance instruction names what it works on."""

    VA = "by VA"
    SET_WAY = "by set/way"
    ALL = "all"


class Point(enum.Enum):
    """How far the effect of a maintenance instruction reaches."""

    POU = "Point of Unification"
    POC = "Point of Coherency"
    LEVEL = "the next level of cache"


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A data cache maintenance instruction: what it does, to what, and how far."""

    clean: bool
    invalidate: bool
    by: By
    point: Point


# Arm ARM DDI 0487, "Cache maintenance instructions". DC CVAP reaches the PoP, which lies at or
# beyond the PoC, so for readers at the PoC it is a DC CVAC (design: "`dc cvap` acts as `cvac`").
DATA_MAINTENANCE: dict[Op, Maintenance] = {
    Op.DC_CVAC: Maintenance(True, False, By.VA, Point.POC),
    Op.DC_CVAP: Maintenance(True, False, By.VA, Point.POC),
    Op.DC_CVAU: Maintenance(True, False, By.VA, Point.POU),
    Op.DC_CIVAC: Maintenance(True, True, By.VA, Point.POC),
    Op.DC_IVAC: Maintenance(False, True, By.VA, Point.POC),
    Op.DC_CSW: Maintenance(True, False, By.SET_WAY, Point.LEVEL),
    Op.DC_CISW: Maintenance(True, True, By.SET_WAY, Point.LEVEL),
    Op.DC_ISW: Maintenance(False, True, By.SET_WAY, Point.LEVEL),
}
INSTRUCTION_MAINTENANCE = frozenset({Op.IC_IVAU, Op.IC_IALLU, Op.IC_IALLUIS})
OUTER_MAINTENANCE = frozenset({Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH})
