"""What the demonstration must show (issue 2, point 5): the patch of 2013, taken away.

The guest starts with its MMU off, so its data accesses are Device-nGnRnE and its fetches Normal
Non-cacheable (facts A9, C12): they see memory at the PoC, while the VMM's stores are in the caches.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocwatch.demo import guest_dtb
from pocwatch.line.contents import contents_of
from pocwatch.report import load
from pocwatch.report.retrace import Trust, retrace

pytestmark = pytest.mark.machine

Demo = tuple[subprocess.CompletedProcess[str], dict[str, dict[str, Any]]]

LAYOUT = guest_dtb.read_layout()
STUB = LAYOUT["RAM_BASE"] + LAYOUT["BOOT_OFFSET"]
PARAMETERS = STUB + LAYOUT["BOOT_PARAMETERS"]
RULES = {
    "dropped": "dc civac@dcache_clean_inval_poc",
    "weakened": "dc civac=dc cvau@dcache_clean_inval_poc",
}
WHY_NOT_ENOUGH = {"dropped": "the machine forgot it", "weakened": "Point of Unification"}
CASES = sorted(RULES)


def of_guest_with_mmu_off(report: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [
        finding
        for finding in report["findings"]
        if finding["kind"] == kind and finding["access"]["vm"] and finding["access"]["mmu"] == "off"
    ]


def test_it_shows_what_it_must(demo: Demo) -> None:
    done, reports = demo
    assert done.returncode == 0, done.stderr
    assert sorted(reports) == ["clean", "dropped", "weakened"]


def test_each_report_is_a_page_too(demo: Demo) -> None:
    out = Path(demo[0].args[-1])
    for name in demo[1]:
        assert (out / f"{name}.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("case", CASES)
def test_histories_lead_to_the_recorded_states(demo: Demo, case: str) -> None:
    """The states between the events of a real history, as the timelines show them."""
    report = load.load(Path(demo[0].args[-1]) / f"{case}.json")
    assert report.definition is not None
    for finding in report.findings:
        found = retrace(finding, contents_of(report.definition))
        recorded = finding.line.states[finding.line.stale_cell]
        assert found.trust is (Trust.RECENT if finding.history_truncated else Trust.WHOLE)
        assert {place.state for place in found.end} == {recorded}


def test_json_has_the_pinned_keys(demo: Demo) -> None:
    for report in demo[1].values():
        assert report["complete"] is True
        assert isinstance(report["platform"], str)
        assert isinstance(report["qemu"], str)
        assert report["instructions"] > report["accesses"] > 0
        assert report["maintenance"]["dc civac"] > 0
        for finding in report["findings"]:
            assert {"kind", "count", "access", "writer", "maintenance"} <= finding.keys()
            assert {"line", "rule", "repair"} <= finding.keys()
            assert {"pe", "el", "vm", "mmu", "pc", "symbol"} <= finding["access"].keys()
            assert {"va", "ipa", "pa", "attributes"} <= finding["access"].keys()
            assert {"agent", "pc", "symbol", "attributes"} <= finding["writer"].keys()
            for event in finding["maintenance"]:
                assert {"op", "pc", "symbol", "why_not_enough"} <= event.keys()


def test_kvm_as_it_is_is_clean(demo: Demo) -> None:
    """But for what docs/findings.md analyses, which is counted, in the host and in the guest."""
    clean = demo[1]["clean"]
    assert clean["findings"] == []
    assert clean["dropped"] == {}
    (suppressed,) = clean["suppressed"]
    assert "__set_fixmap" in suppressed["rule"]
    assert suppressed["count"] == 2


@pytest.mark.parametrize("case", CASES)
def test_the_rule_took_effect_in_the_stage_2_path(demo: Demo, case: str) -> None:
    """A line of every page that the guest uses; the design's prototype counted 12,371 pages."""
    report = demo[1][case]
    assert report["dropped"].keys() == {RULES[case]}
    assert report["dropped"][RULES[case]] > 10_000 * 4096 // 64


@pytest.mark.parametrize("case", CASES)
def test_the_guest_s_first_load_may_read_old_memory(demo: Demo, case: str) -> None:
    """The parameter of the boot stub, which the VMM wrote through its own cacheable mapping."""
    found = [
        finding
        for finding in of_guest_with_mmu_off(demo[1][case], "stale-read")
        if finding["access"]["ipa"] == hex(PARAMETERS)
    ]
    assert found
    finding = found[0]
    access, writer = finding["access"], finding["writer"]
    assert STUB <= int(access["pc"], 16) < PARAMETERS
    assert access["symbol"].startswith("boot_stub")
    assert access["attributes"].startswith("Device")
    assert not writer["vm"]
    assert writer["el"] == 0
    assert writer["symbol"].startswith("write_boot_stub")
    assert writer["attributes"] == "Normal Write-Back"
    assert "Mismatched memory attributes" in finding["rule"]
    assert finding["repair"] == ["dc cvac", "dsb"]
    names_the_cause(finding, case)


@pytest.mark.parametrize("case", CASES)
def test_the_guest_s_first_instructions_may_be_old(demo: Demo, case: str) -> None:
    """The stub's and the kernel's, which came into guest RAM by the VMM's memcpy and read(2)."""
    found = of_guest_with_mmu_off(demo[1][case], "stale-fetch")
    assert any(int(finding["access"]["pc"], 16) == STUB for finding in found)
    kernel = [f for f in found if f["writer"]["symbol"].startswith("__arch_copy_to_user")]
    assert kernel
    assert any(f["access"]["symbol"].startswith("primary_entry") for f in kernel)
    for finding in found:
        assert finding["access"]["attributes"].startswith("Normal Non-cacheable")
        assert not finding["writer"]["vm"]
        names_the_cause(finding, case)


def names_the_cause(finding: dict[str, Any], case: str) -> None:
    lost = [m for m in finding["maintenance"] if m["rule"] == RULES[case]]
    assert lost
    for event in lost:
        assert event["symbol"].startswith("dcache_clean_inval_poc")
        assert WHY_NOT_ENOUGH[case] in event["why_not_enough"]


def cacheable_fetches(report: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    """Stale ones of what the host wrote, for want of what the rule took away."""
    return [
        finding
        for finding in report["findings"]
        if finding["kind"] == "stale-fetch"
        and finding["access"]["attributes"].startswith("Normal Write-Back")
        and not finding["writer"]["vm"]
        and any(event["rule"] == rule for event in finding["maintenance"])
    ]


def test_cacheable_fetches_need_the_clean_to_the_pou(demo: Demo) -> None:
    """They see the PoU (C5, C14): before the patch, what failed was what bypasses the caches."""
    assert cacheable_fetches(demo[1]["dropped"], RULES["dropped"])
    assert not cacheable_fetches(demo[1]["weakened"], RULES["weakened"])


def test_with_idc_they_do_not(watch: Callable[..., dict[str, Any]]) -> None:
    report = watch("neoverse-n1", 1, "guest", RULES["dropped"])
    assert of_guest_with_mmu_off(report, "stale-read")
    assert of_guest_with_mmu_off(report, "stale-fetch")
    assert not cacheable_fetches(report, RULES["dropped"])
