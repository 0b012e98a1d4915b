"""The helpers that make `canonical`, and the audit that finds broken symmetry and changing order."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from classics import Counters, Jugs, Peterson, RoundTable, SortedCounters, SymmetricTwoPhaseCommit
from random_models import COMPONENTS, LOCALS, Rule, TokenModel, images

from pocwatch.check.audit import audit
from pocwatch.check.claims import Claim, always, always_eventually, sometimes
from pocwatch.check.model import ModelError
from pocwatch.check.result import Trace
from pocwatch.check.search import Symmetry, check
from pocwatch.check.symmetry import Interchangeable, canonical_of
from pocwatch.check.trace import replay


def test_canonical_is_one_image_for_all_images() -> None:
    canonical = TokenModel((), 0).canonical
    for locals_ in itertools.product(range(LOCALS), repeat=COMPONENTS):
        for holder in range(-1, COMPONENTS):
            state = (locals_, holder)
            assert canonical(state) in images(state)
            assert {canonical(image) for image in images(state)} == {canonical(state)}


def two_groups() -> Any:
    """Two pages and three vCPUs: (content of each page, the page that each vCPU has, -1 for none)."""
    return canonical_of(
        Interchangeable(
            2,
            permute=lambda s, order: (
                tuple(s[0][i] for i in order),
                tuple(-1 if page < 0 else order.index(page) for page in s[1]),
            ),
            key=lambda s, i: (s[0][i], s[1].count(i)),
        ),
        Interchangeable(
            3,
            permute=lambda s, order: (s[0], tuple(s[1][i] for i in order)),
            key=lambda s, i: s[1][i] < 0,
        ),
    )


def test_components_that_are_wholly_alike_cost_no_orders() -> None:
    permuted: list[Any] = []

    def permute(state: Any, order: Sequence[int]) -> Any:
        permuted.append(order)
        return tuple(state[i] for i in order)

    canonical = canonical_of(Interchangeable(30, permute, key=lambda s, i: s[i]))
    assert canonical((0,) * 30) == (0,) * 30
    assert canonical((1, 0) * 15) == (0,) * 15 + (1,) * 15
    assert len(permuted) < 100  # of 30! orders


def test_two_groups_that_name_each_other() -> None:
    canonical = two_groups()
    for pages in itertools.product(range(2), repeat=2):
        for vcpus in itertools.product((-1, 0, 1), repeat=3):
            swapped = tuple(vcpu if vcpu < 0 else 1 - vcpu for vcpu in vcpus)
            same = {(pages, order) for order in itertools.permutations(vcpus)}
            same |= {(pages[::-1], order) for order in itertools.permutations(swapped)}
            assert len({canonical(state) for state in same}) == 1
            assert canonical((pages, vcpus)) in same


def test_a_lasso_is_walked_until_the_state_itself_returns() -> None:
    """The token goes round among all that look alike: one step among classes, more in the model."""
    rules = (Rule(0, 0, True, "any"), Rule(0, 1, True, "any"), Rule(1, 0, True, "any"))
    claims = [always_eventually("all ones", lambda s: sum(s[0]) == 3)]
    model = TokenModel(rules, 0, claims)
    found = check(model)
    assert found.trace is not None
    assert found.trace.loops_to is not None
    replay(model, found.trace)


@dataclass(frozen=True)
class Carousel:
    """The token moves on by one place for ever: all states are one class."""

    claims: Sequence[Claim[Any, Any]] = (always_eventually("never", lambda s: False),)

    def initial(self) -> list[int]:
        return [0]

    def actions(self, state: int) -> Iterator[tuple[str, int]]:
        yield "on", (state + 1) % 5

    def canonical(self, state: int) -> int:
        return 0


def test_one_step_among_classes_is_five_in_the_model() -> None:
    found = check(Carousel())
    assert found.states == 1
    assert found.trace == Trace(0, tuple(("on", n) for n in (1, 2, 3, 4, 0)), loops_to=0)
    assert check(Carousel(), symmetry=Symmetry.IGNORED).states == 5


@pytest.mark.parametrize(
    ("model", "states"),
    [
        (Jugs(), 16),
        (Peterson(), 20),
        (RoundTable(4), 34),
        (SortedCounters(3, 3), 27),
        (SymmetricTwoPhaseCommit(3), 288),
        (Carousel(), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_models_here_pass_the_audit(model: Any, states: int) -> None:
    assert audit(model) == states


def test_the_audit_may_be_cut_short() -> None:
    assert audit(Jugs(), max_states=5) == 5


def test_the_audit_finds_an_order_that_changes() -> None:
    class Shuffled(Counters):
        def actions(self, state: Any) -> Any:
            steps = list(super().actions(state))
            rng.shuffle(steps)
            return steps

    rng = random.Random(1)
    with pytest.raises(ModelError, match=r"actions\(\(0, 0, 0, 0, 0\)\) gave .*, then "):
        audit(Shuffled(5, 2))


def test_the_audit_finds_initial_states_that_change() -> None:
    starts = itertools.count()

    class Restless(Counters):
        def initial(self) -> Any:
            return [(next(starts),)]

    with pytest.raises(ModelError, match=r"initial\(\) gave \[\(0,\)\], then \[\(1,\)\]"):
        audit(Restless(1, 2))


def test_the_audit_finds_components_that_are_not_alike() -> None:
    class FirstIsFaster(SortedCounters):
        def actions(self, state: Any) -> Any:
            yield from super().actions(state)
            yield "leap", ((state[0] + 2) % self.modulus, *state[1:])

    with pytest.raises(ModelError, match="but only one of them leads to"):
        audit(FirstIsFaster(2, 4))


def test_the_audit_finds_a_claim_on_one_component() -> None:
    model = SortedCounters(2, 3, [sometimes("first is 1", lambda s: s[0] == 1)])
    with pytest.raises(ModelError, match="claim 'first is 1' says one thing of"):
        audit(model)


def test_the_audit_finds_a_canonical_that_is_not_settled() -> None:
    class Turning(Counters):
        def canonical(self, state: Any) -> Any:
            return (*state[1:], state[0])

    with pytest.raises(ModelError, match="whose own is"):
        audit(Turning(3, 2))


def test_replay_finds_wrong_traces() -> None:
    model = Counters(2, 3, [always("c", lambda s: s != (1, 1))])
    trace = check(model).trace
    assert trace is not None
    replay(model, trace)
    with pytest.raises(ModelError, match="no initial state"):
        replay(model, dataclasses.replace(trace, start=(1, 0)))
    with pytest.raises(ModelError, match="step 1 of the trace, 'x', does not lead from"):
        replay(model, dataclasses.replace(trace, steps=(trace.steps[0], ("x", (1, 1)))))
    with pytest.raises(ModelError, match="not in its state 0 again"):
        replay(model, dataclasses.replace(trace, loops_to=0))
