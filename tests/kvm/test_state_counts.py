"""Pinned sizes: a change of the model shows here first, whether it was meant or not.

Numbers are of states after symmetry, up to the end of the search; a search breadth first finds the
shortest counterexample, so its length is a property of the model alone.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cells import cell

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import decide

POLICIES_PINNED = ("poc-on-fault", "mainline-2021")
PINNED = {  # on xgene-l3: (states, length of the counterexample or 0) for the two policies
    "boot-image": ((27, 0), (38, 0)),
    "late-memslot": ((20, 0), (21, 0)),
    "late-load": ((24, 20), (30, 18)),
    "swap": ((36, 17), (54, 0)),
    "cow": ((40, 18), (55, 0)),
    "guest-enables-mmu": ((24, 16), (24, 0)),
    "guest-c-after-m": ((37, 17), (49, 0)),
    "guest-setway": ((16, 15), (21, 0)),
    "second-vcpu-mmu-off": ((21, 0), (21, 0)),
    "guest-nc-mapping": ((16, 0), (16, 0)),
    "vcpu-migration": ((142, 0), (220, 0)),
    "vgic-mmio": ((12, 0), (12, 0)),
    "dma-bootloader": ((17, 0), (15, 0)),
    "dma-coherent": ((18, 0), (18, 0)),
    "reboot": ((40, 23), (69, 0)),
    "page-recycle": ((59, 0), (64, 0)),
    "icache-isolation": ((114, 24), (236, 0)),
    "anything": ((662, 14), (33_850, 0)),
}


def test_every_scenario_is_pinned() -> None:
    assert list(PINNED) == list(SCENARIOS)


@pytest.mark.parametrize("scenario", PINNED)
def test_states_and_shortest_counterexamples(scenario: str) -> None:
    found = [cell(scenario, policy, "xgene-l3") for policy in POLICIES_PINNED]
    assert tuple((r.states, len(r.trace)) for r in found) == PINNED[scenario]


@pytest.mark.parametrize("scenario", ["reboot", "icache-isolation", "vcpu-migration", "page-recycle"])
@pytest.mark.parametrize("policy", ["none", "mainline-2015", "mainline-2021"])
def test_two_runs_are_equal(scenario: str, policy: str) -> None:
    platform = platforms.load("xgene-l3")
    one, two = (decide(SCENARIOS[scenario], POLICIES[policy], platform) for _ in range(2))
    assert (one.verdict, one.states, one.trace) == (two.verdict, two.states, two.trace)


_TOLD = """
from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import decide
for scenario in ("reboot", "late-load", "icache-isolation"):
    for policy in ("poc-on-fault", "mainline-2015"):
        result = decide(SCENARIOS[scenario], POLICIES[policy], platforms.load("xgene-l3"))
        print(result.states, [(a.agent, a.event, [str(s) for _, s in a.steps]) for a in result.trace])
"""


def test_the_hash_seed_changes_nothing() -> None:
    """Sets of strings are ordered anew in each process: no answer may depend on it."""
    told = {
        subprocess.run(
            [sys.executable, "-c", _TOLD],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert "executes" in told.pop()
