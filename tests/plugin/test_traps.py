"""Which maintenance really executes: the plugin's `pw_trapped`, by the traps of the Arm ARM.

Arm ARM DDI 0487, HCR_EL2 (TSW, TPC, TPU, TDZ, TOCU, TICAB, TGE), SCTLR_EL1 (UCI, DZE), HFGITR_EL2.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from assembler import assemble
from decoder import trapped

TSW, TPC, TPU, TGE, TDZ, E2H, TICAB, TOCU = (1 << n for n in (22, 23, 24, 27, 28, 34, 50, 52))
UCI, DZE = 1 << 26, 1 << 14

TO_POC = ("dc cvac, x0", "dc civac, x0", "dc cvap, x0", "dc ivac, x0")
TO_POU = ("dc cvau, x0", "ic ivau, x0", "ic iallu")
BY_SET_WAY = ("dc csw, x0", "dc cisw, x0", "dc isw, x0")
ALL = (*TO_POC, *TO_POU, *BY_SET_WAY, "ic ialluis", "dc zva, x0")
AT_EL0 = ("dc cvac, x0", "dc civac, x0", "dc cvap, x0", "dc cvau, x0", "ic ivau, x0")


def trapping(plugin: ctypes.CDLL, folder: Path, hfgitr: int = 0, **registers: int) -> set[str]:
    words = assemble(folder, ALL)
    return {
        line
        for line, word in zip(ALL, words, strict=True)
        if trapped(plugin, word, hfgitr, **registers)
    }


@pytest.mark.parametrize(
    ("hcr", "expected"),
    [
        (0, set()),
        (TPC, set(TO_POC)),
        (TPU, {*TO_POU, "ic ialluis"}),
        (TOCU, set(TO_POU)),
        (TICAB, {"ic ialluis"}),
        (TSW, set(BY_SET_WAY)),
        (TDZ, {"dc zva, x0"}),
    ],
)
def test_hcr_traps_at_el1_only(
    plugin: ctypes.CDLL, tmp_path: Path, hcr: int, expected: set[str]
) -> None:
    assert trapping(plugin, tmp_path, el=1, has_el2=1, hcr_el2=hcr) == expected
    assert trapping(plugin, tmp_path, el=1, has_el2=0, hcr_el2=hcr) == set()
    assert trapping(plugin, tmp_path, el=2, has_el2=1, hcr_el2=hcr) == set()


def test_hcr_does_not_trap_in_secure_state_without_eel2(
    plugin: ctypes.CDLL, tmp_path: Path
) -> None:
    assert trapping(plugin, tmp_path, el=1, has_el2=1, has_el3=1, hcr_el2=TPC) == set()
    assert trapping(plugin, tmp_path, el=1, has_el2=1, has_el3=1, scr_el3=1, hcr_el2=TPC)


def test_el0_needs_uci_and_dze(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    everything = set(ALL)
    assert trapping(plugin, tmp_path, el=0) == everything
    assert trapping(plugin, tmp_path, el=0, sctlr_el1=UCI) == everything - set(AT_EL0)
    assert trapping(plugin, tmp_path, el=0, sctlr_el1=DZE) == everything - {"dc zva, x0"}


def test_el0_of_a_vhe_host_obeys_sctlr_el2(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    host = {"el": 0, "has_el2": 1, "hcr_el2": E2H | TGE | TPC | TPU | TDZ}
    assert trapping(plugin, tmp_path, **host, sctlr_el1=UCI | DZE) == set(ALL)
    privileged = {"dc ivac, x0", "ic iallu", "ic ialluis", *BY_SET_WAY}
    assert trapping(plugin, tmp_path, **host, sctlr_el2=UCI | DZE) == privileged


@pytest.mark.parametrize(
    ("bit", "line"),
    [
        (0, "ic ialluis"),
        (1, "ic iallu"),
        (2, "ic ivau, x0"),
        (3, "dc ivac, x0"),
        (4, "dc isw, x0"),
        (5, "dc csw, x0"),
        (6, "dc cisw, x0"),
        (7, "dc cvau, x0"),
        (8, "dc cvap, x0"),
        (10, "dc civac, x0"),
        (11, "dc zva, x0"),
        (54, "dc cvac, x0"),
    ],
)
def test_fine_grained_traps(plugin: ctypes.CDLL, tmp_path: Path, bit: int, line: str) -> None:
    assert trapping(plugin, tmp_path, hfgitr=1 << bit, el=1, has_el2=1) == {line}
    assert trapping(plugin, tmp_path, hfgitr=1 << bit, el=2, has_el2=1) == set()
