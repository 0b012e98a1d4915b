"""The search: small spaces against every policy of them, real ones against single verdicts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.kvm import policy
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import HOOKS, Choices
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.synth import confirm
from pocwatch.kvm.synth import space as spaces
from pocwatch.kvm.synth.conflicts import survey
from pocwatch.kvm.synth.explain import explained, placed
from pocwatch.kvm.synth.judge import Judge
from pocwatch.kvm.synth.refutations import Problem, Vector
from pocwatch.kvm.synth.search import OutOfTime, Search
from pocwatch.kvm.synth.space import Candidate, Part, Role, Slot, Space, When
from pocwatch.kvm.verdict import Word, decide

XGENE = platforms.load("xgene-l3")
NEVER = dict.fromkeys(spaces.SEARCHED_CHOICES, (False,))
QUICK = [name for name in SCENARIOS if name != "anything"]


@dataclass(frozen=True)
class Prices:
    """A price for each operation, as one vector per operation; choices cost nothing."""

    of: dict[Op, Vector]

    def base(self, choices: Choices) -> Vector:
        return (0,) * len(next(iter(self.of.values())))

    def part(self, choices: Choices, part: Part) -> Vector:
        assert isinstance(part.operation, Op)
        return self.of[part.operation]


ONE_AXIS = Prices(
    {
        Op.DC_CVAU: (1,),
        Op.DC_CVAC: (2,),
        Op.DC_CIVAC: (3,),
        Op.DSB: (1,),
        Op.IC_IVAU: (1,),
        Op.IC_IALLU: (2,),
        Op.IC_IALLUIS: (3,),
        Op.ISB: (1,),
    }
)


def searched(space: Space, costs: Prices, *scenarios: str) -> Search:
    judge = Judge(space, [SCENARIOS[name] for name in scenarios], Stage2.FORCED)
    search = Search(judge, costs, scenarios)
    search.run()
    return search


def test_boot_image_alone_wants_the_page_at_the_poc_and_out_of_the_icache_before_it_is_mapped() -> None:
    space = spaces.of(XGENE, hooks=["at_map"], choices=NEVER)
    (found,) = searched(space, ONE_AXIS, "boot-image").front
    off = [Slot("at_map", When.CACHES_OFF, role) for role in Role]
    assert space.parts(found.candidate) == [
        Part(off[Role.DATA], Op.DC_CVAC),
        Part(off[Role.DATA_BARRIER], Op.DSB),
        Part(off[Role.INSTRUCTION], Op.IC_IVAU),
        Part(off[Role.INSTRUCTION_BARRIER], Op.DSB),
    ]
    assert found.costs == (5,)


def test_incomparable_costs_give_a_front_of_two() -> None:
    prices = Prices({op: (*price, 0) for op, price in ONE_AXIS.of.items()})
    prices.of.update({Op.IC_IVAU: (1, 9), Op.IC_IALLU: (9, 9), Op.IC_IALLUIS: (3, 1)})
    space = spaces.of(XGENE, hooks=["at_map"], choices=NEVER)
    assert [f.costs for f in searched(space, prices, "boot-image").front] == [(5, 9), (7, 1)]


@pytest.mark.parametrize(
    ("hook", "scenario"),
    [("at_map", "boot-image"), ("at_reset", "reboot"), ("at_first_run", "guest-enables-mmu")],
)
def test_the_front_is_that_of_judging_every_policy(hook: str, scenario: str) -> None:
    space = spaces.of(XGENE, hooks=[hook], choices=NEVER)
    if len(space.slots) > 5:  # at_map: one condition is enough
        chosen = [n for n, slot in enumerate(space.slots) if slot.when is When.CACHES_OFF]
        space = Space(
            space.platform,
            tuple(space.slots[n] for n in chosen),
            tuple(space.options[n] for n in chosen),
            space.choices,
        )
    search = searched(space, ONE_AXIS, scenario)
    safe = []
    for chosen_options in itertools.product(*(range(len(o)) for o in space.options)):
        candidate = Candidate(space.choices[0], chosen_options)
        made = policy.Policy(space.author(candidate), "x", "")
        if decide(SCENARIOS[scenario], made, XGENE).verdict is Word.SAFE:
            safe.append(search.cost(candidate))
    assert [f.costs for f in search.front] == ([min(safe)] if safe else [])


def test_problems_are_solved_as_by_trying_everything() -> None:
    rng = Random(1)
    for _ in range(150):
        sizes = [rng.choice((2, 3, 4)) for _ in range(5)]
        costs = [
            [(0, 0, 0), *((rng.randrange(1, 6), rng.randrange(6), 1 + n) for n in range(size - 1))]
            for size in sizes
        ]
        demands = [
            {
                slot: rng.randrange(1, 1 << (sizes[slot] - 1)) << 1
                for slot in rng.sample(range(5), rng.randrange(1, 4))
            }
            for _ in range(rng.randrange(1, 7))
        ]
        front = [(rng.randrange(3, 9), rng.randrange(3, 9), 0) for _ in range(rng.randrange(2))]
        wanted = min(
            (
                total
                for options in itertools.product(*map(range, sizes))
                if all(any(m >> options[s] & 1 for s, m in d.items()) for d in demands)
                and not any(
                    f[0] <= (total := summed(costs, options))[0] and f[1] <= total[1] for f in front
                )
                and (total := summed(costs, options))
            ),
            default=None,
        )
        found = Problem(costs, (0, 0, 0), demands, front).solve()
        assert (found and found[0]) == wanted
        if found:
            assert summed(costs, found[1]) == found[0]


def summed(costs: list[list[Vector]], options: tuple[int, ...]) -> Vector:
    vectors = [costs[slot][n] for slot, n in enumerate(options)]
    return tuple(map(sum, zip(*vectors, strict=True)))


def test_what_a_run_did_not_look_at_makes_no_difference() -> None:
    """Remembered verdicts are those of single cells, for policies met in any order."""
    space = spaces.of(XGENE)
    judge = Judge(space, [SCENARIOS[name] for name in QUICK], Stage2.FORCED)
    rng = Random(2)
    for _ in range(12):
        candidate = Candidate(
            rng.choice(space.choices),
            tuple(rng.choice((0, rng.randrange(len(o)), len(o) - 1)) for o in space.options),
        )
        made = policy.Policy(space.author(candidate), "x", "")
        for name in QUICK:
            run, result = judge.run(name, candidate), decide(SCENARIOS[name], made, XGENE)
            assert (run.word, run.steps) == (result.verdict, len(result.trace)), name


@pytest.fixture(scope="module")
def five() -> Search:
    """All hooks and choices, on five scenarios of different kinds."""
    names = ["boot-image", "swap", "guest-enables-mmu", "guest-setway", "icache-isolation"]
    return searched(spaces.of(XGENE), ONE_AXIS, *names)


def test_policies_of_a_front_are_safe_cell_by_cell(five: Search) -> None:
    assert five.front
    for found in five.front:
        for name in five.judge.scenarios:
            result = confirm.decided(five.space, found.candidate, name, Stage2.FORCED, None)
            assert result.verdict is Word.SAFE, (name, found)


def test_each_part_is_forbidden_to_drop_by_the_scenario_that_is_named(five: Search) -> None:
    (found,) = five.front
    told = explained(five, found.candidate, list(five.judge.scenarios))
    assert [why.part for why in told.parts] == five.space.parts(found.candidate)
    numbers = {slot: n for n, slot in enumerate(five.space.slots)}
    for why in told.parts:
        assert why.without[0].instead is None
        for less in why.without:
            slot = numbers[why.part.slot]
            chosen = list(found.candidate.chosen)
            chosen[slot] = five.space.options[slot].index(less.instead)
            weaker = Candidate(found.candidate.choices, tuple(chosen))
            assert less.scenario is not None, (why.part, less)
            result = confirm.decided(five.space, weaker, less.scenario, Stage2.FORCED, None)
            assert result.verdict in (Word.UNSAFE, Word.LEAK)
            assert len(result.trace) == less.steps
    for choice in told.choices:
        assert choice.without.scenario is not None


def test_late_load_takes_user_space() -> None:
    without = [hook for hook in HOOKS if hook != "at_user_space_write"]
    space = spaces.of(XGENE, hooks=without)
    search = searched(space, ONE_AXIS, "late-load")
    assert search.front == []
    judge = Judge(space, [SCENARIOS["late-load"], SCENARIOS["boot-image"]], Stage2.FORCED)
    assert survey(judge, ["boot-image", "late-load"]).hopeless == {"late-load"}
    space = spaces.of(XGENE, choices=NEVER)
    (found,) = searched(space, ONE_AXIS, "late-load").front
    parts = {(part.slot.hook, part.operation) for part in space.parts(found.candidate)}
    assert ("at_user_space_write", Op.DC_CVAC) in parts


def test_scenarios_that_exclude_each_other_are_said_to() -> None:
    """With nothing but HCR_EL2.DC for the one, and nothing but HCR_EL2.TSW for the other."""
    tried = {**NEVER, "default_cacheable": (False, True), "traps_set_way": (False, True)}
    space = spaces.of(XGENE, hooks=["at_map", "at_set_way_trap"], choices=tried)
    only = Space(
        space.platform,
        space.slots,
        space.options,
        tuple(c for c in space.choices if c.default_cacheable is not c.traps_set_way),
    )
    names = ["boot-image", "guest-enables-mmu", "guest-c-after-m", "guest-setway"]
    judge = Judge(only, [SCENARIOS[name] for name in names], Stage2.FORCED)
    seen = survey(judge, names)
    assert seen.hopeless == {"guest-c-after-m"}
    assert seen.pairs() == [("guest-enables-mmu", "guest-setway")]
    assert len(seen.left_out()) == 2


@pytest.mark.parametrize(
    ("name", "platform"), [("mainline-2021", "xgene-l3"), ("fwb", "fwb"), ("none", "xgene-l3")]
)
def test_shipped_policies_have_their_place_in_the_space(name: str, platform: str) -> None:
    chip = platforms.load(platform)
    space = spaces.of(chip)
    candidate = placed(POLICIES[name], space)
    assert candidate is not None
    judge = Judge(space, [SCENARIOS[n] for n in QUICK], Stage2.FORCED)
    for scenario in QUICK:
        result = decide(SCENARIOS[scenario], POLICIES[name], chip)
        assert judge.run(scenario, candidate).word is result.verdict, scenario


def test_a_policy_that_does_things_in_another_order_has_none() -> None:
    assert placed(POLICIES["poc-on-fault"], spaces.of(XGENE)) is None
    assert placed(POLICIES["mainline-2015"], spaces.of(XGENE)) is None  # cleans twice


def test_a_search_that_runs_out_of_time_says_so() -> None:
    judge = Judge(spaces.of(XGENE), [SCENARIOS["boot-image"]], Stage2.FORCED)
    with pytest.raises(OutOfTime):
        Search(judge, ONE_AXIS, ["boot-image"], max_seconds=0).run()


def test_a_policy_that_is_refuted_late_is_taken_back_and_the_search_goes_on() -> None:
    space = spaces.of(XGENE, hooks=["at_map"], choices=NEVER)
    judge = Judge(space, [SCENARIOS["boot-image"], SCENARIOS["second-vcpu-mmu-off"]], Stage2.FORCED)
    search = Search(judge, ONE_AXIS, ["boot-image"])
    search.run()
    (first,) = search.front
    assert judge.run("second-vcpu-mmu-off", first.candidate).refutes
    search.take_back(first, "second-vcpu-mmu-off")
    search.run()
    (second,) = search.front
    assert second.costs > first.costs
    assert not judge.run("second-vcpu-mmu-off", second.candidate).refutes
