"""State counts and shortest paths known from hand counts and the literature; broken twins are caught."""

from __future__ import annotations

from itertools import permutations
from math import comb
from typing import Any

import pytest
from brute import distances, orbits
from classics import (
    BrokenPeterson,
    Counters,
    Jugs,
    Peterson,
    Philosophers,
    River,
    RoundTable,
    SortedCounters,
    SymmetricTwoPhaseCommit,
    TwoPhaseCommit,
)

from pocwatch.check.claims import always, eventually
from pocwatch.check.judge import Stop
from pocwatch.check.result import Checked, Ended, Verdict
from pocwatch.check.search import check
from pocwatch.check.trace import replay


def verdicts(checked: Checked[Any, Any]) -> dict[str, str]:
    return {claim.name: claim.verdict.value for claim in checked.claims}


def test_jugs_have_16_states_and_4_gallons_in_6_steps() -> None:
    """One jug is always empty or full: 4 * 6 fillings less the 2 * 4 inner ones.

    TLC on DieHard.tla says the same: 97 states generated (the initial one and 16 * 6), 16 distinct.
    """
    whole = check(Jugs(), stop=Stop.NEVER)
    assert (whole.states, whole.transitions, whole.complete) == (16, 96, True)
    assert verdicts(whole) == {"never four gallons": "violated", "both full": "holds"}
    found = check(Jugs())
    assert found.ended is Ended.FAILED
    assert not found.complete
    assert found.trace is not None
    assert found.trace.actions == (
        "fill big",
        "big to small",
        "empty small",
        "big to small",
        "fill big",
        "big to small",
    )
    assert found.trace == whole.trace


def test_river_takes_7_crossings_in_a_graph_of_10_states() -> None:
    """The textbook's graph: 10 states, 10 crossings, each possible both ways."""
    whole = check(River(), stop=Stop.NEVER)
    assert (whole.states, whole.transitions, whole.depth) == (10, 20, 7)
    assert whole.trace is not None
    assert len(whole.trace) == 7


def test_peterson_holds_under_weak_fairness() -> None:
    """20 states. Both before waiting: 4 pairs, either turn. One waiting or critical and the other
    before it: 4 pairs and as many mirrored, the turn of the other. Both waiting: either turn. One
    critical and the other waiting: 2, the turn of the critical one. Both critical: none.
    """
    checked = check(Peterson())
    assert checked.states == 20
    assert checked.transitions == 40  # each process always has one step
    assert set(verdicts(checked).values()) == {"holds"}


def test_peterson_may_spin_for_ever_without_fairness() -> None:
    model = Peterson(fair=None)
    checked = check(model, stop=Stop.NEVER)
    assert verdicts(checked) == {
        "mutual exclusion": "holds",
        "0 critical": "holds",
        "both wait": "holds",
        "no deadlock": "holds",
        "waiting gets in": "violated",
        "1 again and again": "violated",
    }
    spins = checked.claim("waiting gets in").trace
    assert spins is not None
    assert spins.actions == ((0, 0), (0, 1), (1, 0), (0, 2))
    assert spins.loops_to == 3  # 0 looks at its turn again and again, 1 is not scheduled
    replay(model, spins)


def test_peterson_with_turn_before_flag_is_caught() -> None:
    """Six steps are the fewest there can be: three for each to become critical."""
    model = BrokenPeterson()
    checked = check(model)
    assert checked.claim("mutual exclusion").verdict is Verdict.VIOLATED
    assert checked.trace is not None
    assert len(checked.trace) == 6
    assert checked.trace.end[:2] == (3, 3)
    replay(model, checked.trace)


@pytest.mark.parametrize(("count", "states"), [(2, 6), (3, 14), (4, 34), (5, 82)])
def test_philosophers_deadlock_when_each_has_a_fork(count: int, states: int) -> None:
    """Closed walks of the neighbour matrix ((1,1,1),(1,1,1),(1,0,0)): 2, 6, 14, 34, 82."""
    whole = check(Philosophers(count), stop=Stop.NEVER)
    assert (whole.states, whole.depth) == (states, count)
    assert whole.trace is not None
    assert len(whole.trace) == count
    assert whole.trace.end == (1,) * count


@pytest.mark.parametrize(("count", "states"), [(3, (14 + 2 + 2) // 3), (5, (82 + 4 * 2) // 5)])
def test_philosophers_at_a_round_table(count: int, states: int) -> None:
    """Burnside's lemma: the mean over the rotations of the states they leave as they are."""
    whole = check(RoundTable(count), stop=Stop.NEVER)
    assert whole.states == states
    assert whole.trace is not None
    assert whole.trace.end == (1,) * count


@pytest.mark.parametrize(("count", "modulus"), [(1, 5), (2, 3), (4, 5), (6, 3)])
def test_counters_with_and_without_symmetry(count: int, modulus: int) -> None:
    claims = [
        always("not all one", lambda s: set(s) != {1}),
        eventually("one moves", lambda s: any(s)),
        eventually("all move", lambda s: all(s)),
    ]
    plain = check(Counters(count, modulus, claims), stop=Stop.NEVER)
    reduced = check(SortedCounters(count, modulus, claims), stop=Stop.NEVER)
    assert plain.states == modulus**count
    assert reduced.states == comb(count + modulus - 1, count)
    assert (plain.depth, reduced.depth) == (count * (modulus - 1),) * 2
    assert verdicts(plain) == verdicts(reduced)
    assert verdicts(plain)["all move"] == ("violated" if count > 1 else "holds")
    assert plain.trace is not None
    assert reduced.trace is not None
    assert len(plain.trace) == len(reduced.trace)


@pytest.mark.parametrize(("count", "states"), [(3, 288), (5, 8832)])
def test_two_phase_commit(count: int, states: int) -> None:
    """The counts that TLC (TwoPhase.tla, 3 resource managers) and stateright (3 and 5) have."""
    plain = check(TwoPhaseCommit(count))
    reduced = check(SymmetricTwoPhaseCommit(count))
    assert plain.states == states
    assert set(verdicts(plain).values()) == {"holds"}
    assert verdicts(reduced) == verdicts(plain)
    # all commit: each prepares and has its vote received, the decision, each commits
    shortest = plain.claim("all commit").trace
    assert shortest is not None
    assert len(shortest) == 3 * count + 1
    assert [len(c.trace or ()) for c in plain.claims] == [
        len(c.trace or ()) for c in reduced.claims
    ]
    assert plain.depth == reduced.depth


def test_two_phase_commit_has_80_classes_with_3_managers() -> None:
    """As many as the orbits of the 288 states under exchange of managers (counted in brute force)."""

    def images(state: tuple[str, tuple[object, ...], str]) -> list[object]:
        return [(state[0], tuple(order), state[2]) for order in permutations(state[1])]

    assert orbits(distances(TwoPhaseCommit(3)), images) == 80
    assert check(SymmetricTwoPhaseCommit(3)).states == 80
