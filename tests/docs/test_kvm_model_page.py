"""docs/kvm-model.md says what the code says: assumptions word for word, verdicts cell by cell."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import ASSUMPTIONS, decide

PAGE = (ROOT / "docs" / "kvm-model.md").read_text()
_CELL = re.compile(r"^\| `([\w-]+)` \| `([\w-]+)` \| `([\w-]+)` \| (\w+) \| (\w+) \|$", re.MULTILINE)
CELLS = _CELL.findall(PAGE.partition("<!-- cells that are tested -->")[2])


def test_the_assumptions_are_those_of_the_code() -> None:
    section = PAGE.partition("## Assumptions")[2].partition("\n## ")[0]
    assert re.findall(r"^- (.*)$", section, re.MULTILINE) == list(ASSUMPTIONS)


def test_the_table_is_read() -> None:
    assert len(CELLS) > 8


@pytest.mark.parametrize(("scenario", "policy", "platform", "verdict", "plain"), CELLS)
def test_a_cell_is_as_the_page_says(
    scenario: str, policy: str, platform: str, verdict: str, plain: str
) -> None:
    found = decide(SCENARIOS[scenario], POLICIES[policy], platforms.load(platform))
    assert found.verdict.value == verdict != plain
