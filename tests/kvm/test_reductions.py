"""The reductions of decision 9 change no verdict: compared with the same model without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from cells import QUICK

from pocwatch import platforms
from pocwatch.check.claims import Claim
from pocwatch.check.search import check
from pocwatch.kvm import kernel
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Operation
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.state import Action, State
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import decide

SAMPLE = ("poc-on-fault", "user-space", "default-cacheable", "mainline-2015", "mainline-2021")


class _Plain:
    """The model without its `canonical`: pages have names, and what is free is kept."""

    def __init__(self, system: System) -> None:
        self._system = system

    @property
    def claims(self) -> Sequence[Claim[State, Action]]:
        return self._system.claims

    def initial(self) -> Iterator[State]:
        return self._system.initial()

    def actions(self, state: State) -> Iterator[tuple[Action, State]]:
        return self._system.actions(state)


@pytest.mark.parametrize("scenario", QUICK)
@pytest.mark.parametrize("name", ["xgene-l3", "cortex-a53"])
def test_pages_without_names(scenario: str, name: str) -> None:
    """The same claims hold, and the shortest counterexample is as long."""
    for policy in SAMPLE:
        parts = SCENARIOS[scenario], POLICIES[policy], platforms.load(name)
        reduced, plain = check(System(*parts)), check(_Plain(System(*parts)))
        assert [(c.name, c.verdict) for c in reduced.claims] == [
            (c.name, c.verdict) for c in plain.claims
        ]
        lengths = [len(found.trace.actions) if found.trace else 0 for found in (reduced, plain)]
        assert lengths[0] == lengths[1], policy


def _one_by_one(operations: Sequence[Operation], vm: int, name: str) -> tuple[kernel.Work, ...]:
    return tuple(kernel.Maintain(operation, (), vm, name) for operation in operations)


@pytest.mark.parametrize("scenario", QUICK)
def test_an_operation_and_its_barriers_are_one_step(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, others may come in between; nothing is found that was not found before."""
    for name in ("xgene-l3", "cortex-a53"):
        for policy in SAMPLE:
            parts = SCENARIOS[scenario], POLICIES[policy], platforms.load(name)
            together = decide(*parts)
            with monkeypatch.context() as patch:
                patch.setattr(kernel, "_with_barriers", _one_by_one)
                assert decide(*parts).verdict is together.verdict, (name, policy)
