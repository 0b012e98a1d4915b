"""Which maintenance, in which hook, makes a policy right: tried out, by checking the amended policy.

Candidates are one sequence of operations at the end of one hook, cheapest first; then of two. What is
proposed has been proved for the scenario at hand, not for others, and nothing is said of its cost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import HOOKS, Occasion, Operation, Policy
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.state import Action
from pocwatch.kvm.story.replay import replay
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Result, Word, decide
from pocwatch.platforms import Platform

MAX_STATES = 10_000  # of one candidate; all shipped scenarios but "anything" take less
MAX_STATES_IN_ALL = 40_000

# Where the kernel does such things, those that are about one page first.
_ORDER = (
    "at_map",
    "at_unmap",
    "at_data_fault",
    "at_prefetch_fault",
    "at_permission_fault",
    "at_change_pte",
    "at_allocation",
    "at_mmu_trap",
    "at_set_way_trap",
    "at_reset",
    "at_slot_creation",
    "at_first_run",
)
_LOAD = "at_vcpu_load"  # too often for anything by VA
_USER = "at_user_space_write"  # only if the kernel cannot
_TRAPS = {"at_mmu_trap": "traps_mmu", "at_set_way_trap": "traps_set_way"}

_DATA = ((Op.DC_CVAC, Op.DSB), (Op.DC_CIVAC, Op.DSB))
_INSTRUCTION = ((Op.IC_IVAU, Op.DSB, Op.ISB), (Op.IC_IALLUIS, Op.DSB, Op.ISB))
_LOCAL = (Op.IC_IALLU, Op.DSB, Op.ISB)
_OUTER = ((Op.DC_CIVAC, Op.DSB, Op.OUTER_FLUSH),)


@dataclass(frozen=True, slots=True)
class Repair:
    """Operations to add at the end of hooks, and over how many states that was proved to be enough.

    `before`: of which actions of the counterexample they come first, by index.
    """

    hooks: tuple[str, ...]
    operations: tuple[Op, ...]
    states: int
    before: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Amended:
    """A policy's author with operations added to hooks, and what it takes that they are called."""

    author: Any
    hooks: tuple[str, ...]
    operations: tuple[Operation, ...]

    def __getattr__(self, name: str) -> Any:
        if name in self.hooks:
            return self._hook(name)
        if any(_TRAPS.get(hook) == name for hook in self.hooks):
            return True
        return getattr(self.author, name)

    def _hook(self, name: str) -> Any:
        written = getattr(self.author, name, None)

        def hook(occasion: Occasion) -> tuple[Operation, ...]:
            return (*(written(occasion) if written else ()), *self.operations)

        return hook


def amended(policy: Policy, hooks: tuple[str, ...], operations: tuple[Op, ...]) -> Policy:
    """Return the policy with these operations at the end of these hooks."""
    return Policy(_Amended(policy.author, hooks, operations), policy.name, policy.origin)


def repair(
    result: Result, scenario: Scenario, policy: Policy, platform: Platform, forced: Stage2
) -> Repair | None:
    """Return the first candidate under which the scenario is safe; None if none was found."""
    spent = 0
    for hooks, operations in _candidates(scenario, platform):
        other = amended(policy, hooks, operations)
        if other.why_not(platform, scenario.name) is not None:
            continue
        found = decide(scenario, other, platform, forced=forced, max_states=MAX_STATES)
        if found.verdict is Word.SAFE:
            before = _places(result, System(scenario, other, platform, forced), hooks, operations)
            return Repair(hooks, operations, found.states, before)
        spent += found.states
        if spent > MAX_STATES_IN_ALL:
            break
    return None


def _candidates(
    scenario: Scenario, platform: Platform
) -> Iterator[tuple[tuple[str, ...], tuple[Op, ...]]]:
    assert {*_ORDER, _LOAD, _USER} == set(HOOKS)
    outer = _OUTER if platform.reached("outer") else ()
    data = (*_DATA, *outer)
    if not scenario.fetches:
        kinds: tuple[tuple[Op, ...], ...] = data
        strong: tuple[tuple[Op, ...], ...] = (_DATA[-1], *outer)
    else:
        both = tuple((*first, *then) for first in data for then in _INSTRUCTION)
        kinds = (*data, *_INSTRUCTION, *both)
        strong = (_DATA[-1], *outer, both[-1])
        yield (_LOAD,), _LOCAL
    yield from (((hook,), operations) for operations in kinds for hook in _ORDER)
    yield from (
        (hooks, operations) for operations in strong for hooks in itertools.combinations(_ORDER, 2)
    )
    yield from (((_USER,), operations) for operations in kinds)


def _places(
    result: Result, system: System, hooks: tuple[str, ...], operations: tuple[Op, ...]
) -> tuple[tuple[str, int], ...]:
    """Return where the hooks' additions come in the counterexample, if it is still possible."""
    whys = {f"{system.policy.name}: {hook}": hook for hook in hooks}
    spellings = {op.spelling for op in operations}

    def added(action: Action) -> bool:
        return spellings.issuperset(action.event.split("; ")) and action.why.split(";")[0] in whys

    places: dict[tuple[str, int], None] = {}
    new: list[str] = []
    for stage in replay(system, result.trace, added) or ():
        if stage.expected is None:
            new.append(whys[stage.action.why.split(";")[0]])
        else:
            places.update(dict.fromkeys((hook, stage.expected) for hook in new))
            new = []
    return tuple(places)
