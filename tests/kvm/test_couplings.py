"""Where one line does not stand for all: the right way proved, the wrong ones refuted, shortest first."""

from __future__ import annotations

from typing import Any

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Kind
from pocwatch.check.audit import audit
from pocwatch.check.judge import Stop
from pocwatch.check.result import Checked, Verdict
from pocwatch.check.search import check
from pocwatch.kvm.couplings import line_sizes, neighbours, range_loop, ranges, set_way
from pocwatch.kvm.couplings.line_sizes import Stride
from pocwatch.kvm.couplings.neighbours import Neighbour, Placement
from pocwatch.kvm.couplings.set_way import Loop, Looper, OtherPe, SetWay
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import parse

PLATFORMS = [platforms.load(name) for name in ("cortex-a57", "xgene-l3", "neoverse-dic")]
any_platform = pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p.name)


def proved(model: Any) -> int:
    """Check that all claims hold, over all states; return how many there are."""
    checked = check(model, stop=Stop.NEVER)
    assert checked.complete
    assert checked.verdict is Verdict.HOLDS, checked.trace
    assert audit(model) == checked.states
    return checked.states


def refuted(model: Any, claim: str) -> tuple[str, ...]:
    """Check that a claim is violated; return the actions of the shortest way there."""
    checked: Checked[Any, Any] = check(model, stop=Stop.NEVER)
    assert checked.complete
    result = checked.claim(claim)
    assert result.verdict is Verdict.VIOLATED
    assert result.trace is not None
    return result.trace.actions


# --- Set/way loops (facts A6, C5, B8.6, B8.31) ------------------------------------------------------


def test_a_set_way_loop_alone_cleans_everything() -> None:
    """Two placements of two lines in two ways, four states each: none, one, both ways done, DSB."""
    assert proved(SetWay(Loop.ON_ONE_PE, OtherPe.OFF)) == 2 * 4
    assert proved(SetWay(Loop.ON_ONE_PE, OtherPe.QUIET)) == 2 * 4


def test_a_set_way_loop_misses_what_another_pe_holds() -> None:
    actions = refuted(SetWay(Loop.ON_ONE_PE, OtherPe.RUNNING), set_way.VISIBLE)
    assert actions == ("dc cisw of way 0 on P0", "dc cisw of way 1 on P0", "dsb")


def test_a_loop_on_each_pe_in_turn_misses_a_line_that_moves_behind_it() -> None:
    actions = refuted(SetWay(Loop.ON_EACH_PE, OtherPe.RUNNING), set_way.VISIBLE)
    assert [a for a in actions if "moves" in a] == ["line 1 moves to P0"]
    assert len(actions) == 6
    assert proved(SetWay(Loop.ON_EACH_PE, OtherPe.QUIET)) == 2 * 6


def test_a_thread_that_moves_leaves_ways_of_its_pe_undone() -> None:
    """No line moves here: the loop as a whole is no longer of one PE."""
    actions = refuted(SetWay(Loop.ON_ONE_PE, OtherPe.QUIET, Looper.MOVES), set_way.VISIBLE)
    assert actions == (
        "dc cisw of way 0 on P0",
        "the thread moves to P1",
        "dc cisw of way 1 on P1",
        "dsb",
    )


def test_by_va_finds_lines_wherever_they_are() -> None:
    assert proved(SetWay(Loop.BY_VA, OtherPe.RUNNING)) == 48
    assert proved(SetWay(Loop.BY_VA, OtherPe.RUNNING, Looper.MOVES)) == 132


def test_a_thread_that_moves_without_dsb_cannot_complete_what_it_issued() -> None:
    """DSB completes operations of its own PE (fact C9): why a thread switch does one."""
    model = SetWay(Loop.BY_VA, OtherPe.QUIET, Looper.MOVES_UNCOMPLETED)
    assert refuted(model, set_way.VISIBLE)[-2:] == ("the thread moves to P1", "dsb")


@pytest.mark.parametrize(
    ("name", "other"), [("cortex-a57-up", OtherPe.OFF), ("cortex-a57", OtherPe.RUNNING)]
)
def test_the_line_model_says_the_same_of_the_whole_loop(name: str, other: OtherPe) -> None:
    """With one PE set/way is certain, with more it may miss (`model.may_miss`)."""
    cell = PendingCell.initial(automaton_of(platforms.load(name)))
    for step in parse("P0 st wb; P0 dc cisw; P0 dsb"):
        cell = step_cell(cell, step, own=True)
    loop_holds = check(SetWay(Loop.ON_ONE_PE, other)).verdict is Verdict.HOLDS
    assert loop_holds is not cell.reads(Kind.DEV)


# --- Ranges whose ends are not aligned (facts B8.58, B8.45, C16) -------------------------------------


@any_platform
def test_a_loop_that_rounds_down_is_right_for_every_range(platform: platforms.Platform) -> None:
    """21 ranges of cells in three lines of two: three states each (start, written, DSB), one per line."""
    touched = [
        (end - 1) // 2 - start // 2 + 1 for start in range(6) for end in range(start + 1, 7)
    ]
    assert len(touched) == 21
    assert proved(ranges.model(platform, ranges.rounds_down)) == 21 * 3 + sum(touched)


@any_platform
def test_a_loop_that_starts_at_start_misses_the_last_line(platform: platforms.Platform) -> None:
    checked = check(ranges.model(platform, ranges.starts_at_start))
    assert checked.trace is not None
    assert (checked.trace.start.start, checked.trace.start.end) == (8, 24)
    assert checked.trace.actions == ("all is written", "dc civac at 8", "dsb")


@any_platform
def test_a_loop_that_counts_whole_lines_misses_a_part(platform: platforms.Platform) -> None:
    model = ranges.model(platform, ranges.counts_whole_lines)
    assert refuted(model, range_loop.VISIBLE) == ("all is written", "dsb")


@any_platform
def test_discarding_a_partial_line_loses_its_other_bytes(platform: platforms.Platform) -> None:
    actions = refuted(ranges.model(platform, ranges.discards), range_loop.KEPT)
    assert actions == ("all is written", "dc ivac at 0", "dsb")
    assert proved(ranges.model(platform, ranges.spares_partial_lines)) == 100


def test_an_invalidate_may_be_as_wide_as_a_granule() -> None:
    """CTR_EL0.CWG, not DminLine, is what a buffer that is invalidated must be aligned to (B8.39, C6)."""
    platform = platforms.load("xgene-l3")
    line_wise = ranges.model(
        platform, ranges.spares_partial_lines, lines=2, granule=ranges.GRANULE
    )
    actions = refuted(line_wise, range_loop.KEPT)
    assert actions == ("all is written", "dc ivac at 0", "dsb")
    granule_wise = ranges.model(
        platform, ranges.spares_partial_granules, lines=2, granule=ranges.GRANULE
    )
    assert proved(granule_wise) == 152


# --- One line, two owners (facts B8.45, B8.16, B8.53, B8.56, C16) ------------------------------------

NEVER_STALE = "no judged read is stale"


@any_platform
@pytest.mark.parametrize(
    "driver", [neighbours.LINUX, neighbours.INVALIDATES, neighbours.CLEANS_AND_INVALIDATES]
)
def test_a_buffer_with_lines_of_its_own_is_right(
    platform: platforms.Platform, driver: neighbours.Driver
) -> None:
    for when, states in ((Neighbour.BEFORE, 26), (Neighbour.ANY_TIME, 44)):
        model = neighbours.model(platform, driver, Placement.OWN_LINE, when)
        assert proved(model) == states


@any_platform
def test_invalidating_a_shared_line_loses_the_neighbours_bytes(
    platform: platforms.Platform,
) -> None:
    model = neighbours.model(
        platform, neighbours.INVALIDATES, Placement.SAME_LINE, Neighbour.BEFORE
    )
    assert refuted(model, NEVER_STALE)[-2:] == ("P0 dc ivac, line 0", "P1 ld wb +8, line 0")


@any_platform
def test_cleaning_a_shared_line_helps_a_quiet_neighbour_only(platform: platforms.Platform) -> None:
    """A neighbour that writes while the device does makes the line dirty over the device's bytes."""
    does = neighbours.CLEANS_AND_INVALIDATES
    quiet = neighbours.model(platform, does, Placement.SAME_LINE, Neighbour.BEFORE)
    assert proved(quiet) == 26
    busy = neighbours.model(platform, does, Placement.SAME_LINE, Neighbour.ANY_TIME)
    actions = refuted(busy, NEVER_STALE)
    assert actions[-1] == "P0 ld wb, line 0"
    assert "P1 st wb +8, line 0" in actions


@any_platform
@pytest.mark.parametrize("driver", [neighbours.BEFORE_ONLY, neighbours.CLEANS_ONLY])
def test_what_was_filled_while_the_device_wrote_must_go(
    platform: platforms.Platform, driver: neighbours.Driver
) -> None:
    """A line of its own does not help against speculative fills."""
    model = neighbours.model(platform, driver, Placement.OWN_LINE, Neighbour.ANY_TIME)
    assert refuted(model, NEVER_STALE)[-1] == "P0 ld wb, line 0"


# --- PEs with lines of different sizes (fact B8.14) --------------------------------------------------


@any_platform
def test_the_stride_of_a_big_pe_steps_over_lines_of_a_little_one(
    platform: platforms.Platform,
) -> None:
    model = line_sizes.model(platform, Stride.OF_BIG)
    assert refuted(model, range_loop.VISIBLE) == ("all is written", "dc civac at 0", "dsb")


@any_platform
def test_the_smallest_stride_of_all_pes_is_right(platform: platforms.Platform) -> None:
    assert proved(line_sizes.model(platform, Stride.SMALLEST)) == 42
