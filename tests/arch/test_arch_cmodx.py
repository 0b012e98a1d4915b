"""The set of instructions that may be modified while they execute (fact C14)."""

from __future__ import annotations

from pathlib import Path

import pytest
from assembler import assemble

from pocwatch.arch.cmodx import ENCODINGS, classify, is_of_the_set, may_be_modified_concurrently

# One line per instruction of the set that the assembler knows.
OF_THE_SET = {
    "B": ["b .", "b .+0x1000", "b .-4"],
    "BL": ["bl .", "bl .+0x7fffffc", "bl .-0x8000000"],
    "B.cond": ["b.eq .", "b.ne .-8", "b.al .+0xffffc", "b.nv .+4"],
    "CBZ": ["cbz w0, .", "cbz x30, .-4", "cbz xzr, .+64"],
    "CBNZ": ["cbnz w9, .", "cbnz x0, .+4"],
    "TBZ": ["tbz w0, #0, .", "tbz x5, #63, .-4"],
    "TBNZ": ["tbnz w0, #31, .", "tbnz x5, #32, .+4"],
    "SVC": ["svc #0", "svc #0xffff"],
    "HVC": ["hvc #0", "hvc #0xffff"],
    "SMC": ["smc #0", "smc #0xffff"],
    "BRK": ["brk #0", "brk #0xffff", "brk #0x100"],
    "NOP": ["nop", "hint #0"],
    "ISB": ["isb", "isb sy", "isb #0"],
    "UDF": ["udf #0", "udf #0xffff"],
}
NOT_OF_THE_SET = """
mov x0, x1
mov x0, #0
movk x0, #1, lsl #16
add x0, x1, #4
sub sp, sp, #16
adr x0, .
adrp x0, .
ldr x0, [x1]
ldr x0, .
str x0, [x1]
stp x29, x30, [sp, #-16]!
ret
br x0
blr x0
braaz x0
retaa
eret
drps
dsb sy
dsb ish
dmb sy
sb
yield
wfe
wfi
sev
sevl
hint #6
hint #20
esb
csdb
bti c
paciasp
autiasp
xpaclri
clrex
hlt #0
dcps1
dcps2
dcps3
msr daifset, #2
msr sctlr_el1, x0
mrs x0, ctr_el0
dc civac, x0
dc cvau, x0
ic ivau, x0
ic iallu
tlbi vmalle1
ldxr x0, [x1]
cas x0, x1, [x2]
fmov d0, #1.0
prfm pldl1keep, [x0]
""".strip().splitlines()


@pytest.mark.parametrize("mnemonic", OF_THE_SET)
def test_c14_of_the_set(mnemonic: str, tmp_path: Path) -> None:
    for word in assemble(tmp_path, OF_THE_SET[mnemonic]):
        encoding = classify(word)
        assert encoding is not None, hex(word)
        assert encoding.mnemonic == mnemonic


def test_c14_not_of_the_set(tmp_path: Path) -> None:
    words = assemble(tmp_path, NOT_OF_THE_SET)
    assert len(words) == len(NOT_OF_THE_SET)
    taken = [line for line, word in zip(NOT_OF_THE_SET, words, strict=True) if is_of_the_set(word)]
    assert taken == []


def test_c14_newer_instructions() -> None:
    """The assembler of Debian 12 does not know these; words from the Arm A64 instruction set."""
    assert is_of_the_set(0xD50B_72E3)  # trcit x3
    assert not is_of_the_set(0xD52B_72E3)  # the SYSL of the same fields
    assert is_of_the_set(0x7401_0000)  # cbgt w0, w1, .
    assert is_of_the_set(0xF4C1_0000)  # cbeq x0, x1, .
    assert is_of_the_set(0x7401_8000)  # cbbgt w0, w1, .
    assert is_of_the_set(0x7401_C000)  # cbhgt w0, w1, .
    assert is_of_the_set(0xF521_8000)  # cblt x0, #3, .
    assert not is_of_the_set(0x7481_0000)  # unallocated condition
    assert not is_of_the_set(0xF401_8000)  # no 64-bit cbb
    assert not is_of_the_set(0x5400_0010)  # bc.eq .


def test_encodings_do_not_overlap_and_all_have_an_example() -> None:
    for a in ENCODINGS:
        assert a.match & ~a.mask == 0, a
        assert classify(a.match) is a
        for b in ENCODINGS:
            both = a.mask & b.mask
            assert a is b or a.match & both != b.match & both, (a, b)
    newer = {"TRCIT", "CB<cc> (register)", "CBB<cc>", "CBH<cc>", "CB<cc> (immediate)"}
    assert {e.mnemonic for e in ENCODINGS} == set(OF_THE_SET) | newer


def test_c14_both_instructions_must_be_of_the_set(tmp_path: Path) -> None:
    nop, branch, mov = assemble(tmp_path, ["nop", "b .+8", "mov x9, x30"])
    assert may_be_modified_concurrently(nop, branch)
    assert may_be_modified_concurrently(branch, nop)
    assert not may_be_modified_concurrently(nop, mov)
    assert not may_be_modified_concurrently(mov, nop)


def test_c14_condition_and_target_at_once_may_mix(tmp_path: Path) -> None:
    conditional = ["b.eq .+8", "b.ne .+8", "b.eq .+16", "b.ne .+16", "cbz x0, .+8", "b.ne .-4"]
    eq8, ne8, eq16, ne16, cbz8, back = assemble(tmp_path, conditional)
    b16, tbz8 = assemble(tmp_path, ["b .+16", "tbz x0, #1, .+8"])
    assert may_be_modified_concurrently(eq8, ne8)
    assert may_be_modified_concurrently(eq8, eq16)
    assert not may_be_modified_concurrently(eq8, ne16)
    assert not may_be_modified_concurrently(eq8, back)
    assert may_be_modified_concurrently(eq8, b16)
    assert may_be_modified_concurrently(cbz8, tbz8)
    assert not may_be_modified_concurrently(cbz8, ne16)
