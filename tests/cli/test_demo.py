"""What `pocwatch demo` demands of its runs."""

from __future__ import annotations

from typing import Any

import pytest
import raw_records as raw

from pocwatch.arch.ops import Kind, Op
from pocwatch.cli.demo import CASES, check
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Finding, Report
from pocwatch.sanitizer.locate import Locator
from pocwatch.trace.records import FindingKind, Flag

CLEAN, DROPPED, WEAKENED = CASES


def finding(kind: FindingKind, flags: Flag = Flag.VM) -> Finding:
    op = Op.IF if kind is FindingKind.STALE_FETCH else Op.LD
    record = raw.finding(kind, raw.guest_access(op, Kind.NC, flags=flags))
    return Analyst(Locator([]), [], raw.PLATFORM, raw.describe).finding(record)


def report(*findings: Finding) -> Report:
    return Report(True, "auto", "10.0.2", (), findings=findings)


READ, FETCH = finding(FindingKind.STALE_READ), finding(FindingKind.STALE_FETCH)


def test_clean_must_be_clean() -> None:
    assert check(CLEAN, report()) == []
    assert check(CLEAN, report(READ)) == ["clean: 1 findings"]


@pytest.mark.parametrize("case", [DROPPED, WEAKENED])
def test_the_others_must_show_both_kinds_in_the_guest_with_its_mmu_off(case: Any) -> None:
    assert check(case, report(READ, FETCH)) == []
    assert check(case, report(FETCH)) == [
        f"{case.name}: no stale-read in the guest while its MMU is off"
    ]
    elsewhere = [
        finding(FindingKind.STALE_READ, Flag.VM | Flag.MMU_ON),
        finding(FindingKind.STALE_FETCH, Flag(0)),
    ]
    assert len(check(case, report(*elsewhere))) == 2


def test_no_clean_is_needed_with_fwb_nor_without_a_guest() -> None:
    assert check(DROPPED, report(), cpu="max") == []
    assert check(DROPPED, report(), scenario="host") == []


def test_the_rules_are_the_ones_of_the_patch() -> None:
    assert [(c.name, c.drop, c.weaken) for c in CASES] == [
        ("clean", (), ()),
        ("dropped", ("dc civac@dcache_clean_inval_poc",), ()),
        ("weakened", (), ("dc civac=dc cvau@dcache_clean_inval_poc",)),
    ]
