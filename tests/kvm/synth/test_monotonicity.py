"""More maintenance never makes a policy unsafe: what the search rests on, and where it ends."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import HOOKS
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.synth import space as spaces
from pocwatch.kvm.synth.judge import Judge, names_of_choices
from pocwatch.kvm.synth.space import Candidate, Space
from pocwatch.line.automaton import Automaton, Event
from pocwatch.line.table import automaton_of

QUICK = [name for name in SCENARIOS if name != "anything"]
HARMLESS = (Event.CVAU, Event.CVAC, Event.CIVAC, Event.CSW, Event.CISW, Event.OUTER_FLUSH)


def no_staler(automaton: Automaton) -> set[tuple[int, int]]:
    """Pairs (a, b): no word of events gives a stale read from a without giving one from b.

    With caches that may fill at any time, as a KVM host's may.
    """
    states = range(automaton.states)
    stale = automaton.stale[1]
    rows = [automaton.delta[1][event] for event in Event if event is not Event.CLOSE]

    pairs = {
        (a, b)
        for a in states
        for b in states
        if not stale[a] & ~stale[b]
    }
    while True:
        kept = {
            (a, b)
            for a, b in pairs
            if all((row[a], row[b]) in pairs for row in rows)
        }
        if kept == pairs:
            return pairs
        pairs = kept


@pytest.mark.parametrize("name", platforms.names())
def test_no_operation_of_the_space_makes_any_line_staler(name: str) -> None:
    automaton = automaton_of(platforms.load(name))
    pairs = no_staler(automaton)
    for event in HARMLESS:
        row = automaton.delta[1][event]
        assert all((row[state], state) in pairs for state in range(automaton.states)), event


def test_an_invalidation_that_may_discard_does_so_it_is_not_in_the_space() -> None:
    automaton = automaton_of(platforms.load("xgene-l3"))
    pairs, row = no_staler(automaton), automaton.delta[1][Event.IVAC]
    assert not all((row[state], state) in pairs for state in range(automaton.states))
    space = spaces.of(platforms.load("xgene-l3"))
    assert Op.DC_IVAC not in itertools.chain.from_iterable(space.options)


def raised(space: Space, candidate: Candidate, rng: Random) -> Candidate:
    """A policy that does the same and more, at a few places or at many."""
    share = rng.choice((0.05, 0.2, 0.6))
    chosen = []
    for slot, old in enumerate(candidate.chosen):
        more = [n for n in range(len(space.options[slot])) if space.no_more(slot, old, n)]
        chosen.append(rng.choice(more) if rng.random() < share else old)
    return Candidate(candidate.choices, tuple(chosen))


@pytest.mark.parametrize("platform", ["xgene-l3", "l2x0-up", "fwb"])
def test_whatever_refutes_a_policy_refutes_all_that_do_less(platform: str) -> None:
    space = spaces.of(platforms.load(platform))
    judge = Judge(space, [SCENARIOS[name] for name in QUICK], Stage2.FORCED)
    rng = Random(platform)
    refuted = 0
    for _ in range(25):
        bare = space.nothing(rng.choice(space.choices))
        less = raised(space, bare, rng)
        more = raised(space, less, rng)
        for scenario in QUICK:
            if judge.run(scenario, more).refutes:
                refuted += 1
                assert judge.run(scenario, less).refutes, (scenario, less, more)
    assert refuted > 20


def test_choices_are_not_ordered_one_more_may_be_unsafe() -> None:
    """HCR_EL2.DC: more is chosen, and a guest that sets M before C reads stale data (facts A8)."""
    space = spaces.of(platforms.load("xgene-l3"))
    judge = Judge(space, [SCENARIOS["guest-c-after-m"]], Stage2.FORCED)
    runs = {
        tuple(names_of_choices(choices)): judge.run("guest-c-after-m", space.everything(choices))
        for choices in space.choices
    }
    assert not runs["traps_mmu",].refutes
    assert runs["default_cacheable",].refutes


@pytest.mark.parametrize("name", platforms.names())
def test_a_space_has_all_hooks_and_in_each_place_an_operation_that_does_most(name: str) -> None:
    space = spaces.of(platforms.load(name))
    assert list(dict.fromkeys(slot.hook for slot in space.slots)) == list(HOOKS)
    assert len(set(space.slots)) == len(space.slots)
    for slot, options in enumerate(space.options):
        top = len(options) - 1
        assert all(space.no_more(slot, n, top) for n in range(len(options)))
        for a, b, c in itertools.product(range(len(options)), repeat=3):
            if space.no_more(slot, a, b) and space.no_more(slot, b, c):
                assert space.no_more(slot, a, c)
