"""Permissions of the plugin's walker: what decides whether DC IVAC, DC ZVA and EL0's DC fault.

Arm ARM DDI 0487, "Memory access control": AP, UXN and PXN with their hierarchical forms, WXN, S2AP
and XN of stage 2. One page through tables of 4 KiB granule, all four levels.
"""

from __future__ import annotations

import ctypes

import pytest
from walker import READ64, CRegs, CTranslation

R, W, X = 1, 2, 4
TABLES, S2_TABLES, PAGE = 0x4000_0000, 0x4800_0000, 0x5000_0000
TABLE, LEAF, AF = 3, 3, 1 << 10
AP_EL0, AP_RO, PXN, UXN = 1 << 6, 1 << 7, 1 << 53, 1 << 54
AP_TABLE_NO_EL0, AP_TABLE_RO, XN_TABLE, PXN_TABLE = 1 << 61, 1 << 62, 1 << 60, 1 << 59
ON, WXN = 1 << 0 | 1 << 2 | 1 << 12, 1 << 19  # M, C and I
TCR = 16 | 16 << 16 | 2 << 30 | 5 << 32  # 48-bit halves of 4 KiB pages, 48-bit output
HPD0 = 1 << 41
VTCR = 16 | 2 << 6 | 5 << 16  # 48-bit input from level 0
MMFR0 = 5


def permissions(
    plugin: ctypes.CDLL,
    leaf: int,
    *,
    el: int = 1,
    tables: int = 0,
    s2_leaf: int | None = None,
    **registers: int,
) -> int:
    """The permissions at VA 0, whose tables and pages lie one after another."""
    memory = {TABLES + 0x1000 * i: TABLES + 0x1000 * (i + 1) | TABLE | tables for i in range(3)}
    memory[TABLES + 0x3000] = PAGE | AF | LEAF | leaf
    if s2_leaf is not None:
        registers |= {"has_el2": 1, "hcr_el2": 1, "vtcr_el2": VTCR, "vttbr_el2": S2_TABLES}
        second = S2_TABLES + 0x1000
        memory[S2_TABLES] = second | TABLE
        memory[second + 8] = S2_TABLES + 0x2000 | TABLE  # IPA 1 GiB
        whole = TABLES | AF | 1 | 0xF << 2 | 3 << 6  # the stage-1 tables, as a 2 MiB block
        memory[S2_TABLES + 0x2000] = whole
        memory[S2_TABLES + 0x2000 + 8 * 128] = S2_TABLES + 0x3000 | TABLE
        memory[S2_TABLES + 0x3000] = PAGE | AF | LEAF | 0xF << 2 | s2_leaf

    def read(_: object, pa: int, value: object) -> int:
        if pa not in memory:
            return 0
        value[0] = memory[pa]
        return 1

    regs = CRegs(
        el=el,
        ttbr0_el1=TABLES,
        mair_el1=0xFF,
        id_aa64mmfr0=MMFR0,
        **({"sctlr_el1": ON, "tcr_el1": TCR} | registers),
    )
    out = CTranslation()
    fault = plugin.pw_translate(
        ctypes.byref(regs), ctypes.c_uint64(0), 0, READ64(read), None, ctypes.byref(out)
    )
    assert fault == 0, (out.fault, out.fault_stage, out.fault_level)
    assert out.pa == PAGE
    return out.perm


@pytest.mark.parametrize(
    ("leaf", "el1", "el0"),
    [
        (0, R | W | X, X),
        (AP_EL0, R | W, R | W | X),  # what EL0 may write EL1 may not execute
        (AP_RO, R | X, X),
        (AP_EL0 | AP_RO, R | X, R | X),
        (PXN, R | W, X),
        (UXN, R | W | X, 0),
        (AP_EL0 | UXN | PXN, R | W, R | W),
    ],
)
def test_stage1(plugin: ctypes.CDLL, leaf: int, el1: int, el0: int) -> None:
    assert permissions(plugin, leaf, el=1) == el1
    assert permissions(plugin, leaf, el=0) == el0


@pytest.mark.parametrize(
    ("tables", "el1", "el0"),
    [
        (AP_TABLE_RO, R | X, R | X),
        (AP_TABLE_NO_EL0, R | W | X, X),
        (XN_TABLE, R | W, R | W),
        (PXN_TABLE, R | W, R | W | X),
    ],
)
def test_stage1_of_the_tables_above(plugin: ctypes.CDLL, tables: int, el1: int, el0: int) -> None:
    assert permissions(plugin, AP_EL0, el=1, tables=tables) == el1
    assert permissions(plugin, AP_EL0, el=0, tables=tables) == el0


def test_hierarchical_permissions_can_be_disabled(plugin: ctypes.CDLL) -> None:
    given = permissions(plugin, 0, tables=AP_TABLE_RO | PXN_TABLE, tcr_el1=TCR | HPD0)
    assert given == R | W | X


def test_wxn(plugin: ctypes.CDLL) -> None:
    assert permissions(plugin, 0, sctlr_el1=ON | WXN) == R | W
    assert permissions(plugin, AP_RO, sctlr_el1=ON | WXN) == R | X


@pytest.mark.parametrize(
    ("s2_leaf", "expected"),
    [
        (3 << 6, R | W | X),
        (1 << 6, R | X),
        (2 << 6, W | X),
        (0, X),
        (3 << 6 | 2 << 53, R | W),
    ],
)
def test_stage2_takes_away(plugin: ctypes.CDLL, s2_leaf: int, expected: int) -> None:
    assert permissions(plugin, 0, s2_leaf=s2_leaf) == expected


@pytest.mark.parametrize(("xn", "el1", "el0"), [(0, X, X), (1, 0, X), (2, 0, 0), (3, X, 0)])
def test_stage2_execute_never_by_el(plugin: ctypes.CDLL, xn: int, el1: int, el0: int) -> None:
    xnx = 1 << 28  # FEAT_XNX
    leaf = 3 << 6 | xn << 53
    assert permissions(plugin, AP_RO, el=1, s2_leaf=leaf, id_aa64mmfr1=xnx) & X == el1
    assert permissions(plugin, AP_RO, el=0, s2_leaf=leaf, id_aa64mmfr1=xnx) & X == el0
