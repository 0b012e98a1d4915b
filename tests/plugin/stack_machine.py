"""A PE's memory for the unwinder: words of RAM, stage-1 tables of 4 KiB pages, code, frame records."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

from walker import READ64, CRegs

PAGE = 4096
RAM = 0x4000_0000
TABLE, LEAF, AF = 3, 3, 1 << 10
UXN, PXN, AP_EL0 = 1 << 54, 1 << 53, 1 << 6
ON = 1 << 0 | 1 << 2 | 1 << 12  # M, C and I
TCR = 16 | 16 << 16 | 2 << 30 | 5 << 32  # halves of 48 bits, 4 KiB pages, 48-bit output
KERNEL = 0xFFFF_8000_0000_0000
CALL, CALL_BY_REGISTER, NOP = 0x9400_0040, 0xD63F_0100, 0xD503_201F


class Caller(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("pc", "pa", "ipa", "record", "fp", "lr"))


@dataclass
class StackMachine:
    """EL1 with its MMU on; the low half is user space."""

    plugin: ctypes.CDLL
    words: dict[int, int] = field(default_factory=dict)
    next_page: int = RAM + 2 * PAGE  # behind the two top tables

    def __post_init__(self) -> None:
        self.reads = 0
        self.regs = CRegs(
            el=1,
            sctlr_el1=ON,
            tcr_el1=TCR,
            ttbr0_el1=RAM,
            ttbr1_el1=RAM + PAGE,
            mair_el1=0xFF,
            id_aa64mmfr0=5,
        )

    def new_page(self) -> int:
        self.next_page += PAGE
        return self.next_page - PAGE

    def map(self, va: int, attributes: int, pa: int | None = None) -> int:
        """Map a page, to a new one of RAM if `pa` is not given; return its PA."""
        table = RAM + PAGE * (va >> 55 & 1)
        for shift in (39, 30, 21):
            entry = table + 8 * (va >> shift & 511)
            if entry not in self.words:
                self.words[entry] = self.new_page() | TABLE
            table = self.words[entry] & 0xFFFF_FFFF_F000
        page = self.new_page() if pa is None else pa
        self.words[table + 8 * (va >> 12 & 511)] = page | AF | LEAF | attributes
        return page

    def code(self, va: int, *, user: bool = False, call: int = CALL) -> int:
        """Map a page of calls, the call in each case being the instruction before; return `va`."""
        page = self.map(va & -PAGE, AP_EL0 | PXN if user else UXN)
        for at in range(0, PAGE, 8):
            self.words[page + at] = call | call << 32
        return va

    def stack(self, va: int, *, pages: int = 1, user: bool = False) -> int:
        """Map pages of a stack; return the VA of the first byte."""
        for i in range(pages):
            self.map(va + PAGE * i, UXN | PXN | (AP_EL0 if user else 0))
        return va

    def pa(self, va: int) -> int:
        """Where a mapped VA is."""
        table = RAM + PAGE * (va >> 55 & 1)
        for shift in (39, 30, 21, 12):
            table = self.words[table + 8 * (va >> shift & 511)] & 0xFFFF_FFFF_F000
        return table | va % PAGE

    def record(self, at: int, fp: int, lr: int) -> None:
        """Make a frame record."""
        self.words[self.pa(at)] = fp
        self.words[self.pa(at + 8)] = lr

    def unwind(self, fp: int, lr: int = 0, depth: int = 16) -> list[Caller]:
        """Return the callers, innermost first."""
        out = (Caller * (depth + 1))()
        out[depth].pc = 0xDEAD

        def read(_: object, pa: int, value: object) -> int:
            self.reads += 1
            if not RAM <= pa <= self.next_page - 8:
                return 0
            value[0] = self.words.get(pa, 0)
            return 1

        n = self.plugin.pw_unwind(
            ctypes.byref(self.regs),
            ctypes.c_uint64(fp),
            ctypes.c_uint64(lr),
            READ64(read),
            None,
            out,
            depth,
        )
        assert n <= depth
        assert out[depth].pc == 0xDEAD  # nothing behind the end was written
        return list(out[:n])

    def pcs(self, fp: int, lr: int = 0, depth: int = 16) -> list[int]:
        """Return the callers' PCs."""
        return [caller.pc for caller in self.unwind(fp, lr, depth)]
