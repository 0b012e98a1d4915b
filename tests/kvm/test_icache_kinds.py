"""Instruction caches other than PIPT: the three branches of 2013, and what maintenance reaches them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policies.linux import (
    CLEAN_POU_INVALIDATE_I,
    INVALIDATE_I_ALL,
    coherent_icache_guest_page,
)
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policy import AtEl2, Occasion, of
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Result, Word, decide
from pocwatch.platforms import ICache, Platform

BASE = platforms.load("xgene-l3")


def on(icache: ICache) -> Platform:
    """The thread's machine with another instruction cache."""
    return replace(BASE, icache=icache)


def verdict(scenario: str, policy: str, icache: ICache) -> str:
    """A cell, in one word."""
    return decide(SCENARIOS[scenario], POLICIES[policy], on(icache)).verdict.value


@pytest.mark.parametrize(
    ("icache", "expected"),
    [
        (ICache.PIPT, CLEAN_POU_INVALIDATE_I),
        (ICache.VIPT, INVALIDATE_I_ALL),
        (ICache.VPIPT, INVALIDATE_I_ALL),
        (ICache.AIVIVT, ()),
    ],
)
def test_the_three_branches_of_2013(icache: ICache, expected: tuple[Op, ...]) -> None:
    """A23: by range; the whole cache; nothing."""
    assert coherent_icache_guest_page(Occasion(on(icache))) == expected


@pytest.mark.parametrize(
    ("op", "at_el2", "reached"),
    [
        # PIPT: by VA finds every alias. A VIPT cache may hold the page under the guest's index (C14).
        (Op.IC_IVAU, False, {ICache.PIPT}),
        # A VPIPT cache obeys the host at EL2 only, also by VA: entries are by PA (B1.11).
        (Op.IC_IVAU, True, {ICache.PIPT, ICache.VPIPT}),
        (Op.IC_IALLUIS, False, {ICache.PIPT, ICache.VIPT, ICache.AIVIVT}),
        (Op.IC_IALLUIS, True, set(ICache)),
    ],
)
def test_what_the_hosts_maintenance_reaches(op: Op, at_el2: bool, reached: set[ICache]) -> None:
    """A23, B1.11, C14."""
    found = {
        icache
        for icache in ICache
        if System(SCENARIOS["boot-image"], POLICIES["none"], on(icache)).host_reaches_icache(
            op, at_el2=at_el2
        )
    }
    assert found == reached


@pytest.mark.parametrize("icache", ICache)
@pytest.mark.parametrize("scenario", ["boot-image", "late-memslot", "page-recycle"])
def test_the_patch_helps_in_the_pipt_branch_only(scenario: str, icache: ICache) -> None:
    """A1: VIPT and AIVIVT hosts get no clean to the PoC at all."""
    bad = "leak" if scenario == "page-recycle" else "unsafe"
    assert verdict(scenario, "poc-on-fault", icache) == ("safe" if icache is ICache.PIPT else bad)


@pytest.mark.parametrize("icache", ICache)
@pytest.mark.parametrize(
    "scenario", ["boot-image", "late-memslot", "swap", "cow", "reboot", "page-recycle"]
)
def test_mainline_deals_with_every_kind(scenario: str, icache: ICache) -> None:
    """B1.9 to B1.11."""
    assert verdict(scenario, "mainline-2021", icache) == "safe"


@pytest.mark.parametrize("icache", [ICache.VIPT, ICache.VPIPT, ICache.AIVIVT])
def test_outside_the_pipt_branch_mainline_2015_does_not_clean_to_the_pou(icache: ICache) -> None:
    """A23: a page first touched with caches on is executed from behind the PoU."""
    result = decide(SCENARIOS["reboot"], POLICIES["mainline-2015"], on(icache))
    assert result.verdict is Word.UNSAFE
    assert result.trace[-1].event == "executes"
    assert "Write-Back" in result.trace[-1].why


@pytest.mark.parametrize("icache", ICache)
def test_a_new_vmid_hits_nothing_in_a_tagged_cache(icache: ICache) -> None:
    """B1.11: so Xen's missing I-side (B8.23) cannot hurt a new guest there."""
    expected = "safe" if icache.vmid_tagged else "unsafe"
    assert verdict("boot-image", "xen-2014", icache) == expected
    assert verdict("late-load", "xen-2014", icache) == "unsafe"  # its own old entries do


class _VpiptAtEl1(Mainline2021):
    """The invalidation on unmap, from EL1: it does not reach the guest's entries."""

    name = "vpipt-at-el1"

    def at_unmap(self, occasion: Occasion) -> tuple[Op, ...]:
        return (Op.IC_IALLUIS, Op.DSB, Op.DC_CIVAC, Op.DSB)


class _VpiptWithoutDsb(Mainline2021):
    """The invalidation on unmap is issued and not waited for."""

    name = "vpipt-without-dsb"

    def at_unmap(self, occasion: Occasion) -> tuple[Op | AtEl2, ...]:
        return (Op.DC_CIVAC, Op.DSB, AtEl2(Op.IC_IALLUIS))


@pytest.mark.parametrize("broken", [_VpiptAtEl1, _VpiptWithoutDsb])
def test_a_vpipt_cache_needs_the_invalidation_at_el2_and_its_dsb(broken: type) -> None:
    """B1.11: after swap the same guest finds its entries under its VMID again."""
    result: Result = decide(SCENARIOS["swap"], of(broken), on(ICache.VPIPT))
    assert result.verdict is Word.UNSAFE
    assert result.trace[-1].event == "executes"
