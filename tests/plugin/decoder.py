"""The plugin's decoder through ctypes."""

from __future__ import annotations

import ctypes
import enum

from walker import CRegs


class Class(enum.IntEnum):
    """enum pw_class."""

    NONE = 0
    DC_VA = 1
    DC_SW = 2
    DC_ZVA = 3
    IC_VA = 4
    IC_ALL = 5
    BARRIER = 6
    ERET = 7
    TLBI = 8
    MSR = 9
    MRS = 10


class Reach(enum.IntEnum):
    """enum pw_tlbi."""

    ALL = 0
    VA = 1
    ASID = 2


SYSREGS = (
    *("SCTLR_EL1", "TCR_EL1", "TTBR0_EL1", "TTBR1_EL1", "MAIR_EL1", "VBAR_EL1"),
    *("SCTLR_EL2", "TCR_EL2", "TTBR0_EL2", "TTBR1_EL2", "MAIR_EL2", "VBAR_EL2"),
    *("SCTLR_EL3", "TCR_EL3", "TTBR0_EL3", "MAIR_EL3", "VBAR_EL3"),
    *("HCR_EL2", "VTCR_EL2", "VTTBR_EL2", "SCR_EL3", "HFGITR_EL2"),
)
"""enum pw_sysreg, in order."""


class Insn(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint8)
        for name in ("class_", "op", "rt", "sysreg", "el12", "all_pes", "full", "fgt")
    )


def decode(plugin: ctypes.CDLL, word: int) -> Insn:
    out = Insn()
    plugin.pw_decode(ctypes.c_uint32(word), ctypes.byref(out))
    return out


def trapped(plugin: ctypes.CDLL, word: int, hfgitr: int = 0, **registers: int) -> bool:
    """Whether the instruction traps or is UNDEFINED with these registers, the others 0."""
    regs = CRegs(**registers)
    insn = decode(plugin, word)
    return bool(plugin.pw_trapped(ctypes.byref(insn), ctypes.byref(regs), ctypes.c_uint64(hfgitr)))
