"""docs/synth.md: the policy of its table is safe, and each part is needed for the reason given."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

from pocwatch import platforms
from pocwatch.arch.ops import BY_SPELLING, INSTRUCTION_MAINTENANCE, Op
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.synth import space as spaces
from pocwatch.kvm.synth.judge import Judge, names_of_choices
from pocwatch.kvm.synth.space import Candidate, Role, Slot, Space, When

TEXT = (ROOT / "docs" / "synth.md").read_text()
ROWS = re.findall(r"^\| `(at_\w+)` \| ([\w ]+) \| `([\w ]+)` \| ([\w-]+) \|", TEXT, re.MULTILINE)
QUICK = [name for name in SCENARIOS if name not in ("anything", "late-load")]


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.of(platforms.load("xgene-l3"))


@pytest.fixture(scope="module")
def judge(space: Space) -> Judge:
    return Judge(space, [SCENARIOS[name] for name in QUICK], Stage2.FORCED)


def places(space: Space) -> list[tuple[int, Op]]:
    """The slots of the table's rows: a DSB belongs to what is in the row before it."""
    found = []
    before = Role.DATA
    for hook, when, spelling, _ in ROWS:
        op = BY_SPELLING[spelling]
        if op is Op.DSB:
            role = Role(before + 1)
        else:
            role = Role.INSTRUCTION if op in INSTRUCTION_MAINTENANCE else Role.DATA
        before = role
        found.append((space.slots.index(Slot(hook, When(when), role)), op))
    return found


def candidate(space: Space, without: int | None = None) -> Candidate:
    named = re.search(r"The first chooses (.*?), and does:", TEXT, re.DOTALL)
    assert named is not None
    names = re.findall(r"`(\w+)`", named[1])
    (choices,) = (c for c in space.choices if sorted(names_of_choices(c)) == sorted(names))
    chosen = [0] * len(space.slots)
    for number, (slot, op) in enumerate(places(space)):
        if number != without:
            chosen[slot] = space.options[slot].index(op)
    return Candidate(choices, tuple(chosen))


def test_the_policy_of_the_page_is_safe(space: Space, judge: Judge) -> None:
    refuting = [name for name in QUICK if judge.run(name, candidate(space)).refutes]
    assert refuting == []


def test_each_part_of_the_page_is_needed_where_it_says(space: Space, judge: Judge) -> None:
    assert len(ROWS) > 10
    for number, (hook, when, op, scenario) in enumerate(ROWS):
        assert judge.run(scenario, candidate(space, number)).refutes, (hook, when, op)
