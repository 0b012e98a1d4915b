"""What policies cost over a VM's life: counts by hand, and sums."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.cost import charge, model
from pocwatch.cost.policies import SOURCES, PolicyCosts, Workload
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Choices
from pocwatch.kvm.synth import space as spaces
from pocwatch.kvm.synth.explain import placed
from pocwatch.kvm.synth.space import Part, Role, Slot, When

XGENE = platforms.load("xgene-l3")
COSTS = PolicyCosts(model.load(), XGENE)
LINES = 64  # of a page
NOTHING = Choices(*(False,) * 6, broadcasts=True)


def chosen(**names: bool) -> Choices:
    return Choices(**{**{f.name: getattr(NOTHING, f.name) for f in fields(NOTHING)}, **names})


def counted(hook: str, when: When, role: Role, op: Op, **choices: bool) -> dict[str, int]:
    counts = COSTS.of_part(Part(Slot(hook, when, role), op), chosen(**choices))
    return {f.name: n for f in fields(counts) if (n := getattr(counts, f.name))}


def test_every_number_of_the_workload_has_a_source() -> None:
    assert list(SOURCES) == [field.name for field in fields(Workload)]


def test_lines_cleaned_when_pages_are_mapped() -> None:
    early = 2_048 + 2 * 1_024  # and what notifiers map
    late = 65_536 - 2_048 + 4_096
    off = counted("at_map", When.CACHES_OFF, Role.DATA, Op.DC_CVAC)
    on = counted("at_map", When.CACHES_ON, Role.DATA, Op.DC_CIVAC)
    assert (off, on) == ({"dc_poc_dirty": early * LINES}, {"dc_poc_dirty": late * LINES})


def test_unmapping_at_reset_means_that_all_is_mapped_again() -> None:
    again = counted("at_map", When.CACHES_ON, Role.DATA, Op.DC_CVAC, unmaps_at_reset=True)
    assert again == {"dc_poc_dirty": (2 * (65_536 - 2_048) + 4_096) * LINES}
    assert COSTS.of_choices(chosen(unmaps_at_reset=True)).stage2_faults == 65_536


def test_with_executable_on_fetch_only_pages_fetched_from_are_invalidated() -> None:
    def by_va(**choices: bool) -> dict[str, int]:
        return counted("at_map", When.CACHES_ON, Role.INSTRUCTION, Op.IC_IVAU, **choices)

    assert by_va(executable_on_fetch=True) == {"ic_ivau": 1_024 * LINES}
    assert by_va() == {"ic_ivau": (65_536 - 2_048 + 4_096) * LINES}


def test_whole_cache_operations_count_once_each_time_and_take_whole_caches() -> None:
    part = Part(Slot("at_vcpu_load", When.ALWAYS, Role.INSTRUCTION), Op.IC_IALLU)
    assert COSTS.of_part(part, NOTHING).ic_iallu == 10_000
    assert COSTS.lines_lost(part, NOTHING) == 10_000 * 32 * 1024 // 64
    everywhere = part._replace(operation=Op.IC_IALLUIS)
    assert COSTS.lines_lost(everywhere, NOTHING) == 8 * COSTS.lines_lost(part, NOTHING)


def test_set_way_loops_are_trapped_line_by_line() -> None:
    lines = (32 + 256) * 1024 // 64  # L1 and L2; the L3 is not reached
    assert COSTS.of_choices(chosen(traps_set_way=True)).traps_tsw == 2 * lines
    assert COSTS.base(chosen(traps_set_way=True)).exits == 2 * lines


@pytest.mark.parametrize("name", model.names())
def test_a_policy_costs_what_its_parts_cost(name: str) -> None:
    """So bounding by parts is exact: write-back bandwidth never decides in the shipped cost sets."""
    costs = PolicyCosts(model.load(name), XGENE)
    space = spaces.of(XGENE)
    mainline = placed(POLICIES["mainline-2021"], space)
    assert mainline is not None
    parts = space.parts(mainline)
    apart = costs.base(mainline.choices).time + sum(
        costs.part(mainline.choices, part).time for part in parts
    )
    assert apart / 1000 == pytest.approx(costs.time(mainline.choices, parts).typical)
    done = charge.cost(costs.model, costs.counts(mainline.choices, parts))
    refills = 20 * sum(costs.lines_lost(part, mainline.choices) for part in parts)
    assert costs.time(mainline.choices, parts).typical == pytest.approx(done.typical + refills)
