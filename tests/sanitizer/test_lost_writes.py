"""Lost writes: which of the two ways the data took, what to do instead. Facts C4, C7, C10."""

from __future__ import annotations

import pytest
import raw_records as raw

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.line.automaton import Stale
from pocwatch.line.explain import describe
from pocwatch.line.table import automaton_of, lost_states
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.locate import Locator
from pocwatch.trace.records import Event, FindingKind, Flag

CACHED = raw.event(2, Op.ST)


def lost(writer: Event, *history: Event, cell: int = 0) -> Finding:
    found = raw.finding(
        FindingKind.LOST_WRITE, raw.guest_access(Op.LD, Kind.WB), writer, history, cell=cell
    )
    return Analyst(Locator([]), ["a rule"], raw.PLATFORM, raw.describe).finding(found)


def reasons(found: Finding) -> list[str]:
    return [entry.why_not_enough for entry in found.maintenance]


@pytest.mark.parametrize(
    ("writer", "steps"),
    [
        (raw.event(5, Op.ST, Kind.NC), ("before the non-cacheable write: dc civac", "dsb")),
        (raw.event(5, Op.ST, Kind.DEV), ("before the non-cacheable write: dc civac", "dsb")),
        (raw.event(5, Op.ST, Kind.WT), ("before the write-through write: dc civac", "dsb")),
        (raw.event(5, Op.DMA_WR), ("before the device's write: dc civac", "dsb")),
    ],
)
def test_older_dirty_data_is_cleaned_before_the_write(
    writer: Event, steps: tuple[str, ...]
) -> None:
    assert lost(writer, CACHED, writer).repair == steps
    assert lost(writer, raw.event(2, Op.DC_ZVA), writer).repair == steps
    assert lost(writer, writer).repair == steps, "the cached write was forgotten"


def test_a_later_write_of_other_bytes_dirtied_an_old_copy() -> None:
    writer = raw.event(5, Op.ST, Kind.NC, cells=1)
    found = lost(writer, writer, raw.event(6, Op.ST, cells=2))
    assert found.repair == ("after the non-cacheable write: dc civac", "dsb")


@pytest.mark.parametrize(
    ("op", "step"),
    [
        (Op.DC_IVAC, "dc civac instead of dc ivac"),
        (Op.DC_ISW, "dc civac instead of dc isw"),
        (Op.OUTER_INV, "outer flush instead of outer inv"),
    ],
)
def test_discarded_data_is_cleaned_instead(op: Op, step: str) -> None:
    writer = raw.event(5, Op.ST)
    found = lost(writer, writer, raw.event(6, op), raw.event(7, Op.DC_CVAC))
    assert found.repair == (step, "dsb")
    assert "may have discarded the latest data" in reasons(found)[1]


@pytest.mark.parametrize(
    "invalidate",
    [
        raw.event(4, Op.DC_IVAC),
        raw.event(6, Op.DC_IVAC, cells=2),
        raw.event(6, Op.DC_IVAC, flags=Flag.DROPPED, rule=0),
    ],
    ids=["before the write", "of other bytes", "dropped"],
)
def test_an_invalidate_that_did_not_discard_is_not_blamed(invalidate: Event) -> None:
    found = lost(raw.event(5, Op.ST), invalidate)
    assert found.repair == ("before the caches are bypassed or invalidated: dc civac", "dsb")


def test_what_maintenance_had_to_do_with_overwriting_newer_data() -> None:
    writer = raw.event(5, Op.ST, Kind.DEV)
    found = lost(
        writer,
        raw.event(1, Op.DC_CIVAC),
        CACHED,
        raw.event(3, Op.DC_CVAU, flags=Flag.WEAKENED, rule=0),
        raw.event(4, Op.DC_CISW),
        writer,
        raw.event(6, Op.DC_CIVAC, flags=Flag.UPGRADED),
        raw.event(7, Op.DC_IVAC),
        raw.event(8, Op.DC_CIVAC, flags=Flag.DROPPED, rule=0),
    )
    older, weakened, by_set_way, upgraded, invalidate, dropped = reasons(found)
    assert older == "came before the write that left the line dirty"
    assert weakened == (
        "weakened by rule 'a rule' to dc cvau; cleaned to the Point of Unification only: caches "
        "beyond it stayed dirty, to be written back over the newer non-cacheable write in memory"
    )
    assert by_set_way.startswith("is by set/way: it works on the caches of P0 only; dirty lines")
    assert upgraded == (
        "is a dc ivac, executed as clean and invalidate under HCR_EL2.VM; may have written older "
        "dirty data over the newer non-cacheable write in memory"
    )
    assert invalidate.startswith("may have been executed as clean and invalidate, which writes")
    assert dropped == "dropped by rule 'a rule': the machine forgot it"


def test_the_line_model_says_when_there_is_no_repair() -> None:
    platform = platforms.load("cortex-a57-up")
    automaton = automaton_of(platform)
    states = list(range(automaton.states))
    lost_ones = lost_states(automaton)
    assert lost_ones
    for state in states:
        explained = describe(platform, [state], 0, Op.LD, Kind.WB)
        stale = any(row[state] & Stale.WB for row in automaton.stale)
        assert explained.lost == (stale and not explained.repair)
        assert not explained.lost or state in lost_ones
    assert any(describe(platform, [state], 0, Op.LD, Kind.WB).lost for state in lost_ones)
