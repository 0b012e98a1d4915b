"""Barriers, exception returns, TLBI and MSR in the plugin's decoder, against the assembler."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from assembler import assemble
from decoder import SYSREGS, Class, Reach, decode

from pocwatch.arch.ops import Op

FULL = ("sy", "ish", "osh", "nsh")
LIMITED = tuple(f"{domain}{kind}" for domain in ("", "ish", "osh", "nsh") for kind in ("ld", "st"))
EL12 = {"sctlr_el12", "tcr_el12", "ttbr0_el12", "ttbr1_el12", "mair_el12", "vbar_el12"}


def test_c9_barriers_on_loads_and_stores_are_full(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    lines = [f"{barrier} {option}" for barrier in ("dmb", "dsb") for option in FULL + LIMITED]
    for line, word in zip(lines, assemble(tmp_path, lines), strict=True):
        given = decode(plugin, word)
        assert given.class_ == Class.BARRIER, line
        assert given.op == (Op.DSB if line.startswith("dsb") else Op.DMB), line
        assert bool(given.full) == (line.split()[1] in FULL), line


def test_isb_and_exception_returns(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    isb, eret, eretaa, eretab = assemble(
        tmp_path, ["isb", "eret", "eretaa", "eretab"], arch="armv8.3-a"
    )
    assert decode(plugin, isb).op == Op.ISB
    assert {decode(plugin, word).class_ for word in (eret, eretaa, eretab)} == {Class.ERET}


def test_speculation_barriers_and_hints_are_nothing(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    lines = ["ssbb", "pssbb", "clrex", "nop", "wfi", "yield", "sb", "csdb"]
    for line, word in zip(lines, assemble(tmp_path, lines), strict=True):
        assert decode(plugin, word).class_ == Class.NONE, line


def test_dsb_nxs_is_a_dsb(plugin: ctypes.CDLL) -> None:
    for crm in (0b0010, 0b0110, 0b1010, 0b1110):  # Arm ARM, DSB: CRm<1:0> is 10
        given = decode(plugin, 0xD503_303F | crm << 8 & 0xF00)
        assert (given.class_, given.op, given.full) == (Class.BARRIER, Op.DSB, 1)


@pytest.mark.parametrize(
    ("spelling", "reach", "broadcast"),
    [
        ("vae1, x3", Reach.VA, False),
        ("vaale1is, x3", Reach.VA, True),
        ("vale1os, x3", Reach.VA, True),
        ("aside1is, x3", Reach.ASID, True),
        ("aside1, x3", Reach.ASID, False),
        ("vmalle1", Reach.ALL, False),
        ("vmalle1is", Reach.ALL, True),
        ("rvae1, x3", Reach.ALL, False),
        ("rvae1is, x3", Reach.ALL, True),
        ("vae2, x3", Reach.ALL, False),
        ("vae2is, x3", Reach.ALL, True),
        ("alle1is", Reach.ALL, True),
        ("ipas2e1, x3", Reach.ALL, False),
        ("ipas2e1is, x3", Reach.ALL, True),
        ("ripas2le1, x3", Reach.ALL, False),
        ("ripas2le1is, x3", Reach.ALL, True),
    ],
)
def test_tlbi_reach(
    plugin: ctypes.CDLL, tmp_path: Path, spelling: str, reach: Reach, broadcast: bool
) -> None:
    (word,) = assemble(tmp_path, [f"tlbi {spelling}"])
    given = decode(plugin, word)
    assert (given.class_, given.op, bool(given.all_pes)) == (Class.TLBI, reach, broadcast)


def test_every_translation_register_is_known_by_its_msr(
    plugin: ctypes.CDLL, tmp_path: Path
) -> None:
    lines = [f"msr {name.lower()}, x7" for name in SYSREGS]
    for number, word in enumerate(assemble(tmp_path, lines, arch="armv8.6-a")):
        given = decode(plugin, word)
        assert (given.class_, given.sysreg, given.rt, given.el12) == (Class.MSR, number, 7, 0)


def test_el12_names_mean_the_el1_register(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    names = sorted(EL12)
    for name, word in zip(
        names, assemble(tmp_path, [f"msr {n}, x7" for n in names], arch="armv8.1-a"), strict=True
    ):
        given = decode(plugin, word)
        assert SYSREGS[given.sysreg] == name.upper().replace("EL12", "EL1")
        assert given.el12


def test_other_registers_and_reads_are_nothing(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    lines = ["msr tpidr_el0, x1", "msr elr_el1, x1", "mrs x1, sctlr_el1", "mrs x1, ttbr0_el1"]
    for line, word in zip(lines, assemble(tmp_path, lines), strict=True):
        assert decode(plugin, word).class_ == Class.NONE, line


def test_loads_and_stores_may_access(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    accesses = [
        *(
            "ldr x0, [x1]",
            "strb w0, [x1], #1",
            "ldp q0, q1, [x1]",
            "ldr x0, .",
            "prfm pldl1keep, [x1]",
        ),
        *(
            "ldxr x0, [x1]",
            "stlr x0, [x1]",
            "cas x0, x1, [x2]",
            "ldadd x0, x1, [x2]",
            "swp x0, x1, [x2]",
        ),
        *(
            "ld1 {v0.16b}, [x1]",
            "st4 {v0.b, v1.b, v2.b, v3.b}[1], [x1]",
            "ldtr x0, [x1]",
            "ldraa x0, [x1]",
        ),
    ]
    others = [
        "add x0, x1, x2",
        "mov x0, #1",
        "b .",
        "fadd d0, d1, d2",
        "mul x0, x1, x2",
        "adr x0, .",
    ]
    words = assemble(tmp_path, accesses + others)
    given = [bool(plugin.pw_may_access(ctypes.c_uint32(word))) for word in words]
    assert given == [True] * len(accesses) + [False] * len(others)
