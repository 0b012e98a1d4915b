"""The search's contract: limits, stopping, progress, interruption, and what it says of broken models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pocwatch.check.claims import (
    Claim,
    always,
    always_eventually,
    always_step,
    eventually,
    leads_to,
    never_action,
    never_stuck,
    sometimes,
    sometimes_step,
)
from pocwatch.check.judge import Stop
from pocwatch.check.model import ModelError
from pocwatch.check.result import Checked, Ended, Progress, Verdict
from pocwatch.check.search import Interrupt, check


@dataclass(frozen=True)
class Chain:
    """0 -> 1 -> … -> last, where it ends."""

    last: int
    claims: Sequence[Claim[Any, Any]] = ()

    def initial(self) -> list[int]:
        return [0]

    def actions(self, state: int) -> Iterator[tuple[str, int]]:
        if state < self.last:
            yield "up", state + 1


@dataclass(frozen=True)
class Odd:
    """A model of given parts."""

    first: Callable[[], Any] = lambda: [0]
    next: Callable[[Any], Any] = lambda state: []
    claims: Sequence[Claim[Any, Any]] = ()
    canonical: Callable[[Any], Any] | None = None

    def initial(self) -> Any:
        return self.first()

    def actions(self, state: Any) -> Any:
        return self.next(state)


def verdict(checked: Checked[Any, Any], name: str) -> Verdict:
    return checked.claim(name).verdict


# --- Verdicts ---------------------------------------------------------------------------------


def test_a_sometimes_that_is_never_reached_fails_the_model() -> None:
    checked = check(Chain(3, [sometimes("far", lambda s: s == 4)]))
    assert verdict(checked, "far") is Verdict.UNREACHED
    assert checked.verdict is Verdict.UNREACHED
    assert checked.complete
    assert checked.trace is None


def test_a_sometimes_has_its_example() -> None:
    checked = check(Chain(3, [sometimes("two", lambda s: s == 2)]))
    example = checked.claim("two").trace
    assert example is not None
    assert example.states == (0, 1, 2)
    assert checked.verdict is Verdict.HOLDS
    assert checked.trace is None


def test_a_dead_rule_is_found() -> None:
    checked = check(Chain(3, [sometimes_step("down", lambda b, a, f: a == "down")]))
    assert verdict(checked, "down") is Verdict.UNREACHED


def test_never_action() -> None:
    checked = check(Chain(3, [never_action("not up", lambda a: a == "up")]))
    assert checked.trace is not None
    assert checked.trace.steps == (("up", 1),)
    assert (
        check(Chain(3, [never_action("not down", lambda a: a == "down")])).verdict is Verdict.HOLDS
    )


def test_an_initial_state_may_violate() -> None:
    checked = check(Chain(3, [always("not 0", lambda s: s != 0)]))
    assert checked.trace is not None
    assert (checked.trace.start, len(checked.trace), checked.trace.end) == (0, 0, 0)
    assert checked.states == 1


def test_a_dead_end_may_be_proper() -> None:
    assert check(Chain(3, [never_stuck("moves")])).verdict is Verdict.VIOLATED
    assert check(Chain(3, [never_stuck("ends", lambda s: s == 3)])).verdict is Verdict.HOLDS


def test_a_run_that_ends_counts_as_waiting() -> None:
    claims = [
        eventually("two", lambda s: s == 2),
        always_eventually("two again", lambda s: s == 2),
        leads_to("one to three", lambda s: s == 1, lambda s: s == 3),
        leads_to("three to one", lambda s: s == 3, lambda s: s == 1),
    ]
    checked = check(Chain(3, claims), stop=Stop.NEVER)
    assert [c.verdict.value for c in checked.claims] == ["holds", "violated", "holds", "violated"]
    trace = checked.claim("two again").trace
    assert trace is not None
    assert (trace.end, trace.loops_to) == (3, None)


def test_the_first_violation_ends_the_search_and_the_rest_is_unknown() -> None:
    claims = [always("small", lambda s: s < 3), always("not negative", lambda s: s >= 0)]
    first = check(Chain(9, claims))
    assert (first.ended, first.complete, first.states) == (Ended.FAILED, False, 4)
    assert verdict(first, "not negative") is Verdict.UNKNOWN
    both = check(Chain(9, claims), stop=Stop.NEVER)
    assert (both.ended, both.complete, both.states) == (Ended.FIXPOINT, True, 10)
    assert verdict(both, "not negative") is Verdict.HOLDS
    assert both.verdict is Verdict.VIOLATED


def test_one_state_may_decide_several_claims() -> None:
    claims = [always(f"{n}", lambda s: s != 2) for n in range(3)]
    checked = check(Chain(9, claims), stop=Stop.NEVER)
    assert [len(c.trace or ()) for c in checked.claims] == [2, 2, 2]


def test_one_dead_end_may_decide_several_claims() -> None:
    checked = check(Chain(2, [never_stuck(f"{n}") for n in range(3)]), stop=Stop.NEVER)
    assert [c.verdict for c in checked.claims] == [Verdict.VIOLATED] * 3


def test_depth_of_a_search_that_stopped() -> None:
    assert check(Chain(9, [always("small", lambda s: s < 3)])).depth == 3
    assert check(Chain(9), max_states=5).depth == 4


def test_run_claims_after_the_first_violation_are_unknown() -> None:
    claims = [eventually(f"{n}", lambda s: s == 9) for n in range(3)]
    checked = check(Chain(5, claims))
    assert [c.verdict.value for c in checked.claims] == ["violated", "unknown", "unknown"]
    assert (checked.ended, checked.complete) == (Ended.FAILED, True)
    checked = check(Chain(5, [always("small", lambda s: s < 5), *claims]))
    assert [c.verdict.value for c in checked.claims] == ["violated", *["unknown"] * 3]


def test_run_claims_are_not_judged_after_another_violation() -> None:
    model = Odd(
        next=lambda s: [("stay", s), ("up", s + 1)],
        claims=[always("small", lambda s: s < 3), eventually("two", lambda s: s == 2)],
    )
    assert [c.verdict.value for c in check(model).claims] == ["violated", "unknown"]


def test_weak_fairness_does_not_help_what_is_possible_now_and_then_only() -> None:
    steps = {0: [("round", 1), ("out", 2)], 1: [("round", 0)], 2: []}
    claims = [eventually("out", lambda s: s == 2, fair=lambda action: action)]
    trace = check(Odd(next=lambda s: steps[s], claims=claims)).trace
    assert trace is not None
    assert (trace.actions, trace.loops_to) == (("round", "round"), 0)
    steps[1].append(("out", 2))
    assert check(Odd(next=lambda s: steps[s], claims=claims)).verdict is Verdict.HOLDS


def test_several_initial_states() -> None:
    model = Odd(lambda: [5, 3, 5], lambda s: [("down", s - 1)] if s else [])
    checked = check(dataclasses.replace(model, claims=[always("not 2", lambda s: s != 2)]))
    assert checked.trace is not None
    assert checked.trace.start == 3
    assert check(model).depth == 3  # 5 and 3, then 4 and 2, 1, 0


def test_unknown_name_of_claim() -> None:
    with pytest.raises(KeyError, match="no claim 'x'; there are: a, b"):
        check(Chain(1, [never_stuck("a"), never_stuck("b")])).claim("x")


def test_seconds_are_no_part_of_equality() -> None:
    checked = check(Chain(3))
    assert checked == dataclasses.replace(checked, seconds=99.0)


# --- Limits, progress, interruption -----------------------------------------------------------


def test_a_limit_of_states_gives_unknown() -> None:
    claims = [always("small", lambda s: s < 99), sometimes("big", lambda s: s == 9)]
    limited = check(Chain(9, claims), max_states=9)
    assert (limited.states, limited.complete, limited.ended) == (9, False, Ended.MAX_STATES)
    assert {c.verdict for c in limited.claims} == {Verdict.UNKNOWN}
    assert limited.verdict is Verdict.UNKNOWN
    assert check(Chain(9, claims), max_states=10).verdict is Verdict.HOLDS


def test_a_limit_on_initial_states() -> None:
    checked = check(Odd(lambda: [1, 2, 3]), max_states=2)
    assert (checked.states, checked.ended) == (2, Ended.MAX_STATES)


def test_without_claims_a_limit_gives_unknown_too() -> None:
    assert check(Chain(9), max_states=3).verdict is Verdict.UNKNOWN
    assert check(Chain(9)).verdict is Verdict.HOLDS


def test_a_limit_of_time_gives_unknown() -> None:
    claims = [always("small", lambda s: s < 10**9), eventually("end", lambda s: s == 10**8)]
    checked = check(Chain(10**8, claims), max_seconds=0.05)
    assert (checked.complete, checked.ended) == (False, Ended.MAX_SECONDS)
    assert {c.verdict for c in checked.claims} == {Verdict.UNKNOWN}
    assert 0.05 <= checked.seconds < 5


def test_a_cycle_inside_the_limit_is_a_violation() -> None:
    model = Odd(next=lambda s: [("stay", s), ("on", s + 1)])
    claims = [eventually("far", lambda s: s == 10**9)]
    checked = check(dataclasses.replace(model, claims=claims), max_states=50)
    assert checked.verdict is Verdict.VIOLATED
    assert checked.trace is not None
    assert (checked.trace.actions, checked.trace.loops_to) == (("stay",), 0)


def test_progress_is_told() -> None:
    told: list[Progress] = []
    checked = check(Chain(1000), progress=told.append, progress_seconds=0.0)
    assert [p.states for p in told][:3] == [1, 65, 129]
    assert [p.depth for p in told][:3] == [0, 64, 128]
    assert {p.frontier for p in told} == {1}
    assert checked.states == 1001


def interrupted_at(number: int) -> Callable[[int], Any]:
    def next_states(state: int) -> list[tuple[str, int]]:
        if state == number:
            raise KeyboardInterrupt
        return [("up", state + 1)]

    return next_states


def test_an_interrupt_ends_the_search_with_what_is_known() -> None:
    claims = [
        sometimes("three", lambda s: s == 3),
        always("small", lambda s: s < 99),
        eventually("far", lambda s: s == 99),
    ]
    checked = check(Odd(next=interrupted_at(5), claims=claims), interrupt=Interrupt.ENDS)
    assert (checked.ended, checked.complete) == (Ended.INTERRUPTED, False)
    assert [c.verdict.value for c in checked.claims] == ["holds", "unknown", "unknown"]
    assert checked.states == 6


def test_an_interrupt_passes_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        check(Odd(next=interrupted_at(5)))


def test_an_error_of_the_progress_callback_passes_on() -> None:
    def fails(progress: Progress) -> None:
        raise RuntimeError("screen gone")

    with pytest.raises(RuntimeError, match="screen gone"):
        check(Chain(9), progress=fails, progress_seconds=0.0)


# --- Broken models ----------------------------------------------------------------------------


def explode(state: Any) -> Any:
    raise ValueError("boom")


def half_way(state: int) -> Iterator[tuple[str, int]]:
    yield "fine", state + 1
    if state == 2:
        explode(state)


def test_an_error_in_actions_names_state_and_action() -> None:
    with pytest.raises(
        ModelError, match=r"actions\(2\), after action 'fine', raised ValueError: boom"
    ) as e:
        check(Odd(next=half_way))
    assert (e.value.state, e.value.action) == (2, "fine")
    assert isinstance(e.value.__cause__, ValueError)
    assert "test_check_search.py:" in str(e.value)


def test_an_error_in_actions_before_any_action() -> None:
    with pytest.raises(ModelError, match=r"actions\(0\) raised ValueError: boom"):
        check(Odd(next=explode))


def test_an_error_in_initial() -> None:
    with pytest.raises(ModelError, match=r"initial\(\) raised ZeroDivisionError"):
        check(Odd(lambda: 1 // 0))


@pytest.mark.parametrize(
    "claim",
    [
        always("c", lambda s: s < 2 or explode(s)),
        sometimes("c", lambda s: s == 2 and explode(s)),
        eventually("c", lambda s: s == 2 and explode(s)),
        leads_to("c", lambda s: s == 2 and explode(s), lambda s: False),
    ],
)
def test_an_error_in_a_claim_names_claim_and_state(claim: Claim[Any, Any]) -> None:
    with pytest.raises(ModelError, match="claim 'c' on state 2 raised ValueError: boom") as e:
        check(Chain(3, [claim]))
    assert e.value.state == 2


def test_an_error_in_a_step_claim_names_the_action() -> None:
    claim = always_step("c", lambda b, a, f: f < 2 or explode(f))
    with pytest.raises(ModelError, match="claim 'c' on action 'up' from state 1 raised") as e:
        check(Chain(3, [claim]))
    assert (e.value.state, e.value.action) == (1, "up")


def test_an_error_in_a_dead_end_claim() -> None:
    with pytest.raises(ModelError, match="claim 'c' on state 3 raised"):
        check(Chain(3, [never_stuck("c", explode)]))


def test_an_error_in_fairness() -> None:
    loop = Odd(
        next=lambda s: [("stay", s)], claims=[eventually("c", lambda s: False, fair=explode)]
    )
    with pytest.raises(ModelError, match=r"the fairness of claim 'c'.* raised ValueError: boom"):
        check(loop)


def test_an_error_in_canonical_names_the_action() -> None:
    def canonical(state: int) -> int:
        return state if state < 2 else explode(state)

    with pytest.raises(ModelError, match="canonical of state 2, after action 'on' from state 1"):
        check(Odd(next=lambda s: [("on", s + 1)], canonical=canonical))


def test_a_state_that_is_not_hashable() -> None:
    with pytest.raises(
        ModelError, match=r"the hash of state \[1\], after action 'on' from state 0"
    ):
        check(Odd(next=lambda s: [("on", [1])]))
    with pytest.raises(ModelError, match=r"the hash of state \[1\], as initial state"):
        check(Odd(lambda: [[1]]))


@pytest.mark.parametrize("answer", [None, 4, 0, "yes", (x for x in ())])
@pytest.mark.parametrize("claim", [always, sometimes, eventually])
def test_a_predicate_must_return_a_bool(answer: Any, claim: Any) -> None:
    with pytest.raises(ModelError, match=r"claim 'c' returned .*True or False"):
        check(Chain(3, [claim("c", lambda s: answer)]))


def test_never_action_must_return_a_bool() -> None:
    with pytest.raises(ModelError, match="claim 'c' returned 0, a int"):
        check(Chain(3, [never_action("c", lambda a: 0)]))  # type: ignore[arg-type, return-value]


def test_no_initial_state_is_an_error() -> None:
    with pytest.raises(ModelError, match="no initial state: nothing could be checked"):
        check(Odd(list))


def test_two_claims_of_one_name_are_an_error() -> None:
    with pytest.raises(ModelError, match="two claims have the name 'c'"):
        check(Chain(3, [never_stuck("c"), sometimes("c", lambda s: True)]))


def test_fairness_and_symmetry_do_not_go_together() -> None:
    claims = [eventually("c", lambda s: True, fair=lambda a: a)]
    with pytest.raises(ModelError, match=r"claim 'c' assumes fairness .* Symmetry\.IGNORED"):
        check(Odd(claims=claims, canonical=lambda s: s))


def test_an_error_that_does_not_come_again_is_noted() -> None:
    calls: list[int] = []

    def once(state: int) -> list[tuple[str, int]]:
        calls.append(state)
        return explode(state) if len(calls) == 1 else []  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match="boom") as e:
        check(Odd(next=once))
    assert "at state 0; it did not happen a second time" in e.value.__notes__[0]


def test_actions_that_change_are_noticed_in_the_trace() -> None:
    calls: list[int] = []

    def changing(state: int) -> list[tuple[str, int]]:
        calls.append(state)
        return [("on", len(calls))]

    with pytest.raises(ModelError, match="actions must depend on the state alone"):
        check(Odd(next=changing, claims=[always("c", lambda s: s < 2)]))
