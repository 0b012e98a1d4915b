"""Why each part of a policy is there: the first scenario that forbids leaving it out, or doing less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Op
from pocwatch.kvm.policy import HOOKS, Access, AtEl2, Occasion, Operation, Policy
from pocwatch.kvm.synth.judge import Judge, names_of_choices
from pocwatch.kvm.synth.refutations import Vector
from pocwatch.kvm.synth.search import Search
from pocwatch.kvm.synth.space import Candidate, Part, Role, Slot, Space, When
from pocwatch.kvm.verdict import Word

PATIENCE = 20_000
"""States after which a scenario is taken not to refute what costs more anyway."""


@dataclass(frozen=True, slots=True)
class Without:
    """What happens to a policy if it does less: `instead` of an operation another, or nothing.

    `scenario` is the first that refutes it, with the length of its counterexample. If none does,
    `dearer` are the costs of the changed policy, which are higher in some entry.
    """

    instead: Operation | None
    scenario: str | None
    steps: int = 0
    dearer: Vector | None = None


@dataclass(frozen=True, slots=True)
class PartWhy:
    """A part with everything that it could do less."""

    part: Part
    without: tuple[Without, ...]


@dataclass(frozen=True, slots=True)
class ChoiceWhy:
    """A choice, and what happens if it is not made."""

    choice: str
    without: Without


@dataclass(frozen=True, slots=True)
class Explained:
    """A policy of the front, with the reasons for all it does."""

    candidate: Candidate
    costs: Vector
    parts: tuple[PartWhy, ...]
    choices: tuple[ChoiceWhy, ...]


def explained(
    search: Search, candidate: Candidate, scenarios: Sequence[str], max_states: int = PATIENCE
) -> Explained:
    """Say why each part and choice of a policy is there."""
    space = search.space

    def changed(less: Candidate, instead: Operation | None) -> Without:
        for scenario in scenarios:
            run = search.judge.run(scenario, less, max_states=max_states)
            if run.refutes:
                return Without(instead, scenario, run.steps)
        return Without(instead, None, dearer=search.cost(less))

    parts = []
    for slot, option in enumerate(candidate.chosen):
        operation = space.options[slot][option]
        if operation is None:
            continue
        less = [
            changed(_with(candidate, slot, n), space.options[slot][n])
            for n in _less(space, slot, option)
        ]
        parts.append(PartWhy(Part(space.slots[slot], operation), tuple(less)))
    choices = []
    for name in names_of_choices(candidate.choices):
        other = replace(candidate.choices, **{name: False})
        if other in space.choices:
            choices.append(ChoiceWhy(name, changed(Candidate(other, candidate.chosen), None)))
    return Explained(candidate, search.cost(candidate), tuple(parts), tuple(choices))


def _with(candidate: Candidate, slot: int, option: int) -> Candidate:
    chosen = candidate.chosen
    return replace(candidate, chosen=(*chosen[:slot], option, *chosen[slot + 1 :]))


def _less(space: Space, slot: int, option: int) -> list[int]:
    """Return nothing, and the options that do as much as can be without doing what `option` does."""
    below = [n for n in range(option) if n and space.no_more(slot, n, option)]
    return [0, *(n for n in below if not any(m > n and space.no_more(slot, n, m) for m in below))]


def placed(policy: Policy, space: Space) -> Candidate | None:
    """Return a policy of somebody's as one of the space; None if it does what the space does not know.

    Operations that do nothing on the platform are left out.
    """
    choices = policy.on(space.platform)
    numbers = {slot: n for n, slot in enumerate(space.slots)}
    hooks = {slot.hook for slot in space.slots}
    roles = {slot.role for slot in space.slots}
    if choices not in space.choices or any(policy.has(hook) for hook in HOOKS if hook not in hooks):
        return None
    chosen = [0] * len(space.slots)
    for hook, when in dict.fromkeys((slot.hook, slot.when) for slot in space.slots):
        access = Access.FETCH if "data" not in hook else Access.READ
        occasion = Occasion(space.platform, access, when is When.CACHES_ON, executable=True)
        last = Role.SET_WAY
        for operation in policy.operations(hook, occasion):
            role = _role(operation, last)
            if role in roles:
                slot = numbers[Slot(hook, when, role)]
                option = _option(space, slot, operation)
                if option is None or role < last or chosen[slot]:
                    return None
                chosen[slot] = option
            last = role
    return Candidate(choices, tuple(chosen))


def _role(operation: Operation, last: Role) -> Role:
    op = operation.op if isinstance(operation, AtEl2) else operation
    if op in INSTRUCTION_MAINTENANCE:
        return Role.INSTRUCTION
    if op is Op.DSB:
        return Role.INSTRUCTION_BARRIER if last >= Role.INSTRUCTION else Role.DATA_BARRIER
    return {
        Op.ISB: Role.SYNCHRONISATION,
        Op.DC_CISW: Role.SET_WAY,
        Op.OUTER_FLUSH: Role.OUTER,
    }.get(op, Role.DATA)


def _option(space: Space, slot: int, operation: Operation) -> int | None:
    op = operation.op if isinstance(operation, AtEl2) else operation
    alike = [operation, op, AtEl2(op)]
    if op is Op.IC_IALLUIS:
        alike.append(Op.IC_IALLU)  # the same with one PE, where there is no other in the space
    options = space.options[slot]
    return next((options.index(a) for a in alike if a in options), None)


def refuting(
    judge: Judge, candidate: Candidate, scenarios: Sequence[str], max_states: int | None = None
) -> tuple[list[tuple[str, int]], bool]:
    """Return every scenario that refutes a candidate, with the length of its counterexample.

    Also whether all were judged in full, in no more than `max_states` each.
    """
    runs = [judge.run(scenario, candidate, max_states=max_states) for scenario in scenarios]
    full = all(run.word is not Word.UNKNOWN for run in runs)
    return [(run.scenario, run.steps) for run in runs if run.refutes], full
