"""Cells of the matrix for tests: decided once per run, by name."""

from __future__ import annotations

import functools

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Result, decide

# `anything` takes seconds for each cell that is safe: tests name the few they want.
QUICK = tuple(name for name in SCENARIOS if name != "anything")


@functools.cache
def cell(scenario: str, policy: str, platform: str) -> Result:
    """Return the verdict on shipped things."""
    return decide(SCENARIOS[scenario], POLICIES[policy], platforms.load(platform))
