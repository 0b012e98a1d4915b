"""Cases of the corpus that take maintenance away from a real KVM host; they share the demo's runs."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from corpus.case import Case, Form, all_cases
from corpus.run import as_claimed

pytestmark = pytest.mark.machine

Demo = tuple[subprocess.CompletedProcess[str], dict[str, dict[str, Any]]]
DROPS = [case for case in all_cases() if case.form is Form.DROP]


@pytest.mark.parametrize("case", DROPS, ids=lambda case: case.id)
def test_drops(demo: Demo, case: Case) -> None:
    reports = demo[1]
    (dropped,) = (r for r in reports.values() if set(r["dropped"]) == {case.buggy})
    kinds = {name: frozenset(f["kind"] for f in reports[name]["findings"]) for name in reports}
    buggy = frozenset(finding["kind"] for finding in dropped["findings"])
    assert as_claimed(case, buggy, kinds["clean"])
