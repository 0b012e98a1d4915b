"""Bugs that hypervisors really had, as small policies: refuted in the right scenario, in the right way.

They are those of corpus/policies.py, with the numbers of its cases. The fixed form is safe in the same
scenario, so it is the bug that is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from conformance import refuted

from corpus.policies import (
    Bug1,
    Bug2,
    Bug4,
    Bug5,
    Bug6,
    Bug10,
    Bug20,
    Bug23,
    Bug24,
    Bug26,
    Fixed23,
    Operations,
)
from pocwatch import platforms
from pocwatch.kvm.policies.linux import CLEAN_INVALIDATE_POC
from pocwatch.kvm.policies.mainline_2014 import Mainline2014
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policy import Occasion, of
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import decide

XGENE = platforms.load("xgene-l3")


@dataclass(frozen=True)
class Seeded:
    """A bug, its fix, where it shows, and how: the last step, and what the line saw of it."""

    broken: type
    fixed: type
    scenario: str
    verdict: str
    event: str
    step: str


SEEDED = (
    Seeded(Bug1, Mainline2021, "boot-image", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug2, Mainline2021, "icache-isolation", "unsafe", "executes", "P1 if wb"),
    Seeded(Bug4, Mainline2021, "swap", "unsafe", "swaps the page out: reads it", "P0 ld wb"),
    Seeded(Bug5, Mainline2021, "guest-enables-mmu", "unsafe", "reads", "P1 ld wb"),
    Seeded(Bug6, Mainline2021, "guest-setway", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug10, Mainline2021, "cow", "unsafe", "reads", "P1 ld dev"),
    Seeded(Bug20, Mainline2014, "guest-c-after-m", "unsafe", "reads", "P1 ld nc"),
    Seeded(Bug23, Fixed23, "late-load", "unsafe", "executes", "P1 if nc"),
    Seeded(Bug24, Mainline2021, "boot-image", "unsafe", "executes", "P1 if nc"),
    Seeded(Bug26, Fixed23, "page-recycle", "leak", "reads", "P1 ld dev"),
)


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda s: s.broken.name)
def test_the_bug_is_found_where_it_is(seeded: Seeded) -> None:
    result = decide(SCENARIOS[seeded.scenario], of(seeded.broken), XGENE)
    assert result.verdict.value == seeded.verdict
    last = result.trace[-1]
    assert (last.event, last.read) == (seeded.event, "stale")
    assert str(last.steps[-1][1]) == seeded.step
    fixed = decide(SCENARIOS[seeded.scenario], of(seeded.fixed), XGENE)
    assert fixed.verdict.value == "safe"


@pytest.mark.parametrize(
    ("broken", "elsewhere"),
    [
        # One mistake shows in few scenarios; "late-load" is user space's own (A21).
        (Bug2, {"icache-isolation"}),
        (Bug4, {"swap", "cow"}),
        # Not "guest-setway": the trapped set/way operation has cleaned by VA before caches go off.
        (Bug5, {"guest-enables-mmu", "guest-c-after-m"}),
        (Bug6, {"guest-setway"}),
        (Bug10, {"cow"}),
    ],
)
def test_and_the_rest_is_as_it_was(broken: type, elsewhere: set[str]) -> None:
    assert set(refuted(of(broken), XGENE)) == {*elsewhere, "late-load"}


def test_a_bug_that_was_fixed_twice() -> None:
    """B8.23: the hypercall alone leaves what a page's earlier owner executed."""

    class HypercallOnly(Fixed23):
        name = "hypercall-only"

        def at_allocation(self, occasion: Occasion) -> Operations:
            return CLEAN_INVALIDATE_POC

    assert refuted(of(HypercallOnly), XGENE)["page-recycle"] == "leak"
    assert "page-recycle" not in refuted(of(Fixed23), XGENE)
