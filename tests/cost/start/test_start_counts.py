"""What policies do for a small VM, counted by hand.

64 MiB RAM, pages of 4 KiB, lines of 64 bytes: 64 lines a page, 16,384 a MiB. The VMM writes 8 MiB, just
what the largest cache (8 MiB) holds; the guest touches these and 8 MiB more, 4,096 pages in all.
"""

from __future__ import annotations

import pytest
from vms import LINES_OF_MIB, MIB, priced, small

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.cost.counts import Counts
from pocwatch.cost.start.caches import Dirty, Segment
from pocwatch.cost.start.events import Phase
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.vm import Present
from pocwatch.kvm import policy
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import HOOKS, Occasion, Operation

PAGES = 4096
LINES = PAGES * 64


def by_phase(outcome: Outcome, phase: Phase) -> Counts:
    found = Counts()
    for step in outcome.steps:
        if step.phase is phase:
            found += step.counts
    return found


def cleaned(counts: Counts) -> int:
    return counts.dc_poc_dirty + counts.dc_poc_absent


def test_nothing_for_no_maintenance() -> None:
    (outcome,) = priced("none")
    assert outcome.counts == Counts()
    assert outcome.total.high == outcome.start.high == outcome.steady.high == 0
    assert outcome.latency is not None
    assert outcome.latency.worst.high == 0


def test_the_patch_of_2013_cleans_every_page_touched() -> None:
    """On each fault: CVAU, DSB, IVAU, DSB, then CIVAC, DSB, by 64 lines."""
    (outcome,) = priced("poc-on-fault")
    counts = outcome.counts
    assert cleaned(counts) == counts.dc_pou == counts.ic_ivau == LINES == 262_144
    assert counts.dsb == 3 * PAGES
    assert counts.stage2_faults == counts.permission_faults == counts.traps_tvm == 0


def test_new_pages_are_found_dirty_and_image_pages_as_far_as_they_fit() -> None:
    """Pages just zeroed: all 2,048. The image: 8 MiB fit, and nothing was written since."""
    (outcome,) = priced("poc-on-fault")
    fresh = [s for s in outcome.steps if s.what == "faults on new pages"]
    assert sum(s.counts.dc_poc_dirty for s in fresh) == 2048 * 64
    assert sum(s.counts.dc_poc_absent for s in fresh) == 0
    image = [s for s in outcome.steps if "image" in s.what or "first" in s.what]
    assert sum(cleaned(s.counts) for s in image) == 2048 * 64
    # One page of 2,048 finds its share of what is dirty, the next ones theirs of what is left.
    assert sum(s.counts.dc_poc_dirty for s in image) > 0.6 * 2048 * 64


def test_first_instruction() -> None:
    """One prefetch fault comes before it, whatever the policy."""
    (outcome,) = priced("poc-on-fault")
    (step,) = [s for s in outcome.steps if s.phase is Phase.FIRST_FETCH]
    assert (step.times, cleaned(step.counts), step.counts.dsb) == (1, 64, 3)
    assert outcome.start == step.time


def test_clean_ram_has_two_readings() -> None:
    written, everything = priced("clean-ram-at-first-run")
    assert (written.present, everything.present) == (Present.WRITTEN, Present.ALL)
    first, second = (by_phase(o, Phase.FIRST_RUN) for o in (written, everything))
    assert first == Counts(dc_poc_dirty=8 * LINES_OF_MIB, dsb=1)
    assert second == Counts(dc_poc_dirty=8 * LINES_OF_MIB, dc_poc_absent=56 * LINES_OF_MIB, dsb=1)


def test_xen_cleans_what_it_allocates() -> None:
    """At allocation, and again what the toolstack writes."""
    written, everything = priced("xen-2014")
    assert by_phase(everything, Phase.CREATE).dc_poc_dirty == 64 * LINES_OF_MIB
    assert by_phase(everything, Phase.LOAD).dc_poc_dirty == 8 * LINES_OF_MIB
    assert by_phase(written, Phase.LOAD).dc_poc_dirty == 2 * 8 * LINES_OF_MIB


def test_user_space_cleans_what_it_wrote() -> None:
    (outcome,) = priced("user-space")
    counts = by_phase(outcome, Phase.LOAD)
    assert counts == Counts(
        dc_poc_dirty=8 * LINES_OF_MIB, ic_ivau=8 * LINES_OF_MIB, dsb=2
    )


def test_a_larger_image_is_dirty_only_as_far_as_it_fits() -> None:
    (outcome,) = priced("user-space", small(image_bytes=12 * MIB))
    counts = by_phase(outcome, Phase.LOAD)
    assert (counts.dc_poc_dirty, counts.dc_poc_absent) == (8 * LINES_OF_MIB, 4 * LINES_OF_MIB)


def test_set_way_goes_over_one_pe_s_caches() -> None:
    """32 KiB L1D and 256 KiB L2: 4,608 lines; at most that much is written back."""
    (outcome,) = priced("setway-at-first-run")
    counts = by_phase(outcome, Phase.FIRST_RUN)
    assert counts == Counts(set_way_lines=4608, bytes_cleaned=288 * 1024, dsb=1)


def test_outer_caches_by_their_own_size() -> None:
    (outcome,) = priced("outer-at-first-run", platform="l2x0-up")
    levels = platforms.load("l2x0-up").levels
    size_kib = sum(level.geometry.size_kib for level in levels)
    assert by_phase(outcome, Phase.FIRST_RUN).set_way_lines == size_kib * 16


def test_mainline_2014_cleans_all_that_is_mapped_when_caches_go_on() -> None:
    """First vCPU: 2 MiB of image mapped. Others: the image and half of the rest, 12 MiB each."""
    (outcome,) = priced("mainline-2014")
    first, others = [s for s in outcome.steps if s.hooks == ("at_mmu_trap",)]
    assert cleaned(first.counts) == 2 * LINES_OF_MIB
    assert cleaned(others.counts) == 3 * 12 * LINES_OF_MIB
    assert (first.counts.traps_tvm, others.counts.traps_tvm) == (8, 24)


def test_mainline_2021_cleans_when_mapping_and_unmapping() -> None:
    (outcome,) = priced("mainline-2021")
    assert cleaned(by_phase(outcome, Phase.STOP)) == LINES
    faults = [s for s in outcome.steps if "at_map" in s.hooks and s.phase is not Phase.RUN]
    assert sum(cleaned(s.counts) for s in faults) == LINES
    (executed,) = [s for s in outcome.steps if s.hooks == ("at_permission_fault",)]
    assert executed.counts == Counts(permission_faults=204, ic_ivau=204 * 64, dsb=204)


def test_fwb_cleans_nothing() -> None:
    (outcome,) = priced("fwb", platform="fwb")
    counts = outcome.counts
    assert (cleaned(counts), counts.dc_pou, counts.traps_tvm) == (0, 0, 0)
    (dic,) = priced("fwb-dic", platform="fwb-dic")
    assert dic.counts == Counts()


@pytest.mark.parametrize(("page", "times"), [(1 << 14, 1024), (1 << 16, 256), (1 << 21, 8)])
def test_larger_pages_are_fewer_faults_over_as_many_lines(page: int, times: int) -> None:
    (outcome,) = priced("poc-on-fault", small(page_bytes=page))
    assert cleaned(outcome.counts) == LINES
    assert outcome.counts.dsb == 3 * times


def test_a_block_is_cleaned_whole() -> None:
    """1 GiB each for the image and the rest, though only 16 MiB are touched."""
    (outcome,) = priced("poc-on-fault", small(2048, page_bytes=1 << 30))
    assert cleaned(outcome.counts) == 2 * (1 << 30) // 64


def test_each_second_of_running() -> None:
    """4 MiB are taken and touched again; devices write 16 MiB; vCPUs change places 100 times."""
    (outcome,) = priced("mainline-2021")
    counts = by_phase(outcome, Phase.RUN)
    assert cleaned(counts) == 2 * 4 * LINES_OF_MIB
    assert counts.ic_iallu == 100
    (user,) = priced("user-space")
    assert cleaned(by_phase(user, Phase.RUN)) == 16 * LINES_OF_MIB


def test_what_shipped_policies_do_is_seen_but_for_what_is_left_out() -> None:
    """No reboot, no KSM, no set/way loop by default; nothing is mapped read-only."""
    left_out = {"at_change_pte", "at_reset", "at_set_way_trap"}
    for name in POLICIES:
        platform = {"outer-at-first-run": "l2x0-up", "fwb": "fwb"}.get(name, "xgene-l3")
        platform = "fwb-dic" if name == "fwb-dic" else platform
        outcomes = priced(name, platform=platform)
        seen = {hook for outcome in outcomes for step in outcome.steps for hook in step.hooks}
        acting = {hook for hook in HOOKS if POLICIES[name].has(hook)}
        choices = POLICIES[name].on(platforms.load(platform))
        never = {"at_permission_fault": choices.executable_on_fetch, "at_mmu_trap": choices.traps_mmu}
        assert acting - seen <= left_out | {hook for hook, happens in never.items() if not happens}


def test_every_hook_but_those_left_out_can_be_priced() -> None:
    """A policy of the user's own that does something everywhere."""

    def act(_self: object, _occasion: Occasion) -> tuple[Operation, ...]:
        return (Op.DC_CIVAC, Op.DSB)

    author = type("Busy", (), {"name": "busy", "origin": "a test", "traps_mmu": True,
                               "executable_on_fetch": True, **dict.fromkeys(HOOKS, act)})  # fmt: skip
    outcomes = priced(policy.of(author))
    acting = {h for o in outcomes for s in o.steps if s.counts.dsb for h in s.hooks}
    assert set(HOOKS) - acting == {"at_change_pte", "at_reset", "at_set_way_trap"}


def test_dirty_lines_are_the_last_that_fit() -> None:
    dirty = Dirty(8 * MIB)
    dirty.write(Segment.IMAGE, 6 * MIB)
    dirty.write(Segment.REST, 4 * MIB)
    assert dirty.found(Segment.IMAGE, 6 * MIB, 6 * MIB) == 4 * MIB
    assert dirty.found(Segment.IMAGE, 3 * MIB, 6 * MIB) == 2 * MIB
    assert dirty.found(None, 10 * MIB, 10 * MIB) == 8 * MIB
    dirty.clean(None, 5 * MIB)
    assert (dirty.found(Segment.IMAGE, MIB, MIB), dirty.total_bytes) == (0, 3 * MIB)
    dirty.write(Segment.REST, 100 * MIB)
    assert dirty.total_bytes == 8 * MIB
