"""Random small models: the search says what the definitions say, by code of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

from brute import distances, orbits, steps_to, waits_after
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import (
    Census,
    GraphModel,
    TokenModel,
    censuses,
    graphs,
    images,
    subsets,
    token_models,
)

from pocwatch.check.audit import audit
from pocwatch.check.claims import (
    always,
    always_eventually,
    always_step,
    eventually,
    leads_to,
    never_stuck,
    sometimes,
    sometimes_step,
)
from pocwatch.check.judge import Stop
from pocwatch.check.result import Checked, Trace, Verdict
from pocwatch.check.search import Symmetry, check
from pocwatch.check.trace import replay

FEW = settings(max_examples=150, deadline=None)


def whole(model: Any, *claims: Any, **options: Any) -> Checked[Any, Any]:
    return check(dataclasses.replace(model, claims=claims), stop=Stop.NEVER, **options)


def fair_class(action: str) -> Hashable | None:
    """`a` and `b` are fair, each a class of its own; `c` is not."""
    return None if action == "c" else action


@FEW
@given(graphs(), subsets())
def test_reachability_and_shortest_distance(model: GraphModel, bad: frozenset[int]) -> None:
    known = distances(model)
    checked = whole(
        model, always("never bad", lambda s: s not in bad), sometimes("bad", lambda s: s in bad)
    )
    assert checked.complete
    assert checked.states == len(known)
    assert checked.depth == max(known.values())
    assert checked.transitions == sum(len(model.steps[s]) for s in known)
    fewest = steps_to(model, lambda s: s in bad)
    never, found = checked.claims
    assert never.verdict is (Verdict.HOLDS if fewest is None else Verdict.VIOLATED)
    assert found.verdict is (Verdict.UNREACHED if fewest is None else Verdict.HOLDS)
    assert never.trace == found.trace
    if fewest is not None:
        assert never.trace is not None
        assert len(never.trace) == fewest
        assert never.trace.end in bad
        replay(model, never.trace)


@FEW
@given(graphs(), subsets(), st.sampled_from("abc"))
def test_steps_and_dead_ends(model: GraphModel, ends: frozenset[int], letter: str) -> None:
    known = distances(model)

    def is_wanted(before: int, action: str, after: int) -> bool:
        return action == letter and after in ends

    checked = whole(
        model,
        always_step("no step", lambda b, a, f: not is_wanted(b, a, f)),
        sometimes_step("a step", is_wanted),
        never_stuck("not stuck", lambda s: s in ends),
    )
    no_step, a_step, not_stuck = checked.claims
    steps = [d for s, d in known.items() for a, t in model.steps[s] if is_wanted(s, a, t)]
    stuck = [d for s, d in known.items() if not model.steps[s] and s not in ends]
    assert no_step.verdict is (Verdict.VIOLATED if steps else Verdict.HOLDS)
    assert a_step.verdict is (Verdict.HOLDS if steps else Verdict.UNREACHED)
    assert not_stuck.verdict is (Verdict.VIOLATED if stuck else Verdict.HOLDS)
    for trace, fewest in [(no_step.trace, steps and min(steps) + 1), (a_step.trace, None)]:
        if trace is not None:
            assert len(trace) == fewest or fewest is None
            replay(model, trace)
    if not_stuck.trace is not None:
        assert len(not_stuck.trace) == min(stuck)
        replay(model, not_stuck.trace)


def assert_waits(model: Any, trace: Trace[Any, Any], goal: Any, trigger: Any, fair: Any) -> None:
    """The trace is a maximal, fair run whose goal does not come after some trigger."""
    replay(model, trace)
    waiting_from = len(trace.states)
    while waiting_from > 0 and not goal(trace.states[waiting_from - 1]):
        waiting_from -= 1
    assert any(trigger(s) for s in trace.states[waiting_from:])
    if trace.loops_to is None:
        assert not list(model.actions(trace.end))
        return
    assert trace.loops_to >= waiting_from
    assert trace.loops_to < len(trace)
    if fair is not None:
        loop = trace.states[trace.loops_to :]
        possible = [{fair(a) for a, _ in model.actions(s)} for s in loop]
        taken = {fair(a) for a in trace.actions[trace.loops_to :]}
        assert set.intersection(*possible) - {None} <= taken


@settings(max_examples=300, deadline=None)
@given(graphs(), subsets(), subsets(), st.sampled_from([None, fair_class]))
def test_runs_against_every_lasso(
    model: GraphModel, goals: frozenset[int], triggers: frozenset[int], fair: Any
) -> None:
    def goal(state: int) -> bool:
        return state in goals

    def trigger(state: int) -> bool:
        return state in triggers

    def anything(state: int) -> bool:
        return True

    checked = whole(
        model,
        eventually("eventually", goal, fair),
        always_eventually("again and again", goal, fair),
        leads_to("leads to", trigger, goal, fair),
    )
    cases = [(anything, True), (anything, False), (trigger, False)]
    for claim, (armed_by, starts_only) in zip(checked.claims, cases, strict=True):
        fewest = waits_after(model, goal, armed_by, starts_only, fair)
        assert claim.verdict is (Verdict.HOLDS if fewest is None else Verdict.VIOLATED)
        assert (claim.trace is None) is (fewest is None)
        if claim.trace is not None:
            assert_waits(model, claim.trace, goal, armed_by, fair)
            stem = len(claim.trace) if claim.trace.loops_to is None else claim.trace.loops_to
            assert stem == fewest


@FEW
@given(graphs(), subsets(), st.integers(1, 6))
def test_a_limit_never_proves(model: GraphModel, bad: frozenset[int], limit: int) -> None:
    """What is decided within a limit is right; nothing that needs the rest is decided."""
    claims = [
        always("never bad", lambda s: s not in bad),
        sometimes("bad", lambda s: s in bad),
        always_eventually("again and again", lambda s: s in bad),
    ]
    full = whole(model, *claims)
    part = whole(model, *claims, max_states=limit)
    assert part.complete is (full.states <= limit)
    assert part.states == min(full.states, limit)
    for some, all_ in zip(part.claims, full.claims, strict=True):
        if some.verdict is not Verdict.UNKNOWN:
            assert some.verdict is all_.verdict
        if not part.complete and some.trace is None:
            assert some.verdict is Verdict.UNKNOWN
        if some.trace is not None:
            replay(model, some.trace)


@FEW
@given(token_models(), censuses(), censuses())
def test_symmetry_changes_no_verdict(model: TokenModel, goal: Census, trigger: Census) -> None:
    claims = [
        always("never", lambda s: not goal(s)),
        sometimes("sometimes", goal),
        always_step("no step", lambda before, _, after: not (trigger(before) and goal(after))),
        never_stuck("not stuck", goal),
        eventually("eventually", goal),
        always_eventually("again and again", goal),
        leads_to("leads to", trigger, goal),
    ]
    plain = whole(model, *claims, symmetry=Symmetry.IGNORED)
    reduced = whole(model, *claims)
    assert plain.states == len(distances(model))
    assert reduced.states == orbits(distances(model), images)
    assert reduced.depth <= plain.depth  # another state of the class may be nearer
    for one, other in zip(plain.claims, reduced.claims, strict=True):
        assert one.verdict is other.verdict
        for trace in (one.trace, other.trace):
            if trace is not None:
                replay(model, trace)
        if one.trace is not None and one.trace.loops_to is None:
            assert other.trace is not None
            assert len(one.trace) == len(other.trace)
    for name, armed_by in [
        ("eventually", lambda s: True),
        ("again and again", lambda s: True),
        ("leads to", trigger),
    ]:
        trace = reduced.claim(name).trace
        if trace is not None:
            assert_waits(model, trace, goal, armed_by, None)
    audit(dataclasses.replace(model, claims=claims))


@FEW
@given(graphs(), subsets())
def test_two_runs_are_identical(model: GraphModel, goals: frozenset[int]) -> None:
    claims = [
        always("never", lambda s: s not in goals),
        eventually("eventually", lambda s: s in goals),
        always_eventually("fair", lambda s: s in goals, fair_class),
    ]
    assert whole(model, *claims) == whole(model, *claims)
