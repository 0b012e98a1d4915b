"""Linux depends on its maintenance, and each operation that is taken away is missed.

The prototype of design.md saw 8, 9,065 and 4,777 places without DC IVAC, DC CVAU and IC IVAU in a
longer boot, before causes were told apart; here it is the kinds, writers and reasons that count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.machine

Watch = Callable[..., dict[str, Any]]
Finding = dict[str, Any]


def provoked(watch: Watch, rule: str) -> list[Finding]:
    """What is found in the host alone without some maintenance, and because of that."""
    report = watch("cortex-a57", 1, "host", rule)
    assert report["dropped"][rule] > 0
    return [
        finding
        for finding in report["findings"]
        if any(event["rule"] == rule for event in finding["history"])
    ]


def writers(findings: list[Finding]) -> set[str]:
    return {(finding["writer"]["symbol"] or "?").split("+")[0] for finding in findings}


@pytest.mark.parametrize("op", ["ic ivau", "dc cvau"])
def test_code_needs_both_halves(watch: Watch, op: str) -> None:
    """Facts C14: DC CVAU and IC IVAU. Kernel code patched by ftrace, and programs of user space."""
    found = provoked(watch, f"{op}@*")
    assert found
    assert {f["kind"] for f in found} == {"stale-fetch"}
    assert all("DC CVAU, DSB, IC IVAU, DSB" in f["rule"] for f in found)
    assert sum(f["count"] for f in found) > 100
    assert {0, 1} <= {f["access"]["el"] for f in found}
    assert "copy_to_kernel_nofault" in writers(found)


def test_page_tables_made_with_the_mmu_off_need_an_invalidate(watch: Watch) -> None:
    """Facts C10: a stale copy may be in a cache; head.S invalidates before it sets SCTLR.M."""
    found = provoked(watch, "dc ivac@*")
    assert "stale-walk" in {f["kind"] for f in found}
    assert "create_idmap" in writers(found)


def test_what_is_patched_and_what_is_read_with_the_mmu_off_need_dc_civac(watch: Watch) -> None:
    """Alternatives are cleaned by DC CIVAC; KVM's EL2 reads its parameters with the MMU off."""
    found = provoked(watch, "dc civac@*")
    by_kind = {
        kind: [f for f in found if f["kind"] == kind] for kind in ("stale-fetch", "stale-read")
    }
    assert "patch_alternative" in writers(by_kind["stale-fetch"])
    at_el2 = [f for f in by_kind["stale-read"] if f["access"]["el"] == 2]
    assert at_el2
    assert all(f["access"]["mmu"] == "off" for f in at_el2)
    assert all("kvm_hyp_init" in f["access"]["symbol"] for f in at_el2)
