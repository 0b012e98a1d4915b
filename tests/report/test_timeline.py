"""The steps of a finding, and what caches may hold between them, against what the rules give by hand.

On xgene-l3 (L1D, L2, L3; the PoU is L2). State numbers are those of `pocwatch automaton`: 0 coherent,
1 dirty somewhere, 3 copies stale, 6 and 8 lost, 7 as 1 but L1D clean (docs/line-model.md).
"""

from __future__ import annotations

from typing import Any

import pytest
import raw_records as raw

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.line.explain import describe
from pocwatch.line.model import Copy
from pocwatch.report.retrace import Trust
from pocwatch.report.timeline import Role, Situation, Timeline, timeline
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.locate import Locator
from pocwatch.trace import records
from pocwatch.trace.records import FindingKind, Flag, Why

PLATFORM = platforms.load("xgene-l3")
RULE = "dc civac@dcache_clean_inval_poc"
HOST = Flag.MMU_ON
DONE = Flag.MMU_ON | Flag.COMPLETED
LETTERS = {
    "-": Copy.ABSENT,
    "c": Copy.LATEST_CLEAN,
    "d": Copy.LATEST_DIRTY,
    "s": Copy.STALE_CLEAN,
    "x": Copy.STALE_DIRTY,
}


def told(
    history: tuple[records.Event, ...],
    state: int,
    access: records.Access | None = None,
    kind: FindingKind = FindingKind.STALE_READ,
    writer: records.Event | None = None,
    **fields: Any,
) -> Timeline:
    """The timeline of a finding whose cell 0 was recorded to be in `state`."""
    writes = [e for e in history if e.op in (Op.ST, Op.DC_ZVA, Op.DMA_WR)]
    access = access or raw.guest_access(Op.LD, Kind.DEV, size=8)
    found = raw.finding(kind, access, writer or writes[-1], history, **fields)
    for cell in range(8):
        found.states[cell] = state
    return timeline(Analyst(Locator([]), [RULE], PLATFORM, describe).finding(found), PLATFORM)


def held(situation: Situation) -> dict[str, str]:
    """What each level may hold, as letters in the order of LETTERS."""
    return {
        bar.name: "".join(letter for letter, copy in LETTERS.items() if copy in bar.may_hold)
        for bar in situation.bars
    }


REST = {"L1D": "-c", "L2": "-c", "L3": "-c", "memory": "c"}
# A store at L1D: written back to any depth; what was below is an old clean copy until it is reached.
# L1D itself can only be refilled with what left it.
STORED = {"L1D": "-cd", "L2": "-cds", "L3": "-cds", "memory": "cs"}


def test_a_dropped_clean_leaves_memory_as_the_write_left_it() -> None:
    found = told(
        (
            raw.event(1, Op.ST, flags=HOST, cells=1),
            raw.event(2, Op.DC_CIVAC, flags=DONE | Flag.DROPPED, rule=0),
        ),
        state=1,
    )
    write, clean, access = found.steps
    assert [s.role for s in found.steps] == [Role.LATEST, Role.MISSING, Role.ACCESS]
    assert [s.operation for s in found.steps] == ["st wb", "dc civac", "ld dev"]
    assert held(write.before) == REST
    assert held(write.after) == held(clean.after) == held(access.before) == STORED
    assert clean.notes == (f"dropped by rule '{RULE}'",)
    assert not clean.changed
    assert access.world == "EL1, guest 1"
    assert found.path == ((0,), (1,))
    assert found.meanings[1] == "memory and Point of Unification stale"
    assert found.trust is Trust.WHOLE


def test_a_clean_weakened_to_the_pou_stops_at_l2() -> None:
    """The L1D copy is clean then, what L2 holds is the latest; L3 and memory are as they were."""
    found = told(
        (
            raw.event(1, Op.ST, flags=HOST, cells=1),
            raw.event(2, Op.DC_CVAU, flags=DONE | Flag.WEAKENED, rule=0),
        ),
        state=7,
    )
    _, clean, access = found.steps
    assert clean.role is Role.MISSING
    assert clean.notes == (f"weakened by rule '{RULE}'", "completed by DSB")
    assert held(access.before) == {"L1D": "-c", "L2": "-cd", "L3": "-cds", "memory": "cs"}
    assert found.path == ((0,), (1,), (7,))


def test_a_write_past_a_dirty_line_may_be_lost() -> None:
    """The old dirty copy may be anywhere, or over the new data; a clean copy of that may be refilled."""
    guest = Flag.VM
    found = told(
        (
            raw.event(1, Op.DC_ZVA, flags=HOST),
            raw.event(2, Op.ST, Kind.DEV, flags=guest, cells=1),
            raw.event(3, Op.DC_CIVAC, flags=guest | Flag.UPGRADED | Flag.COMPLETED),
        ),
        state=8,
        access=raw.guest_access(
            Op.LD, Kind.WB, size=8, why=Why.S1_PAGE, flags=Flag.VM | Flag.MMU_ON
        ),
        kind=FindingKind.LOST_WRITE,
    )
    zeroing, write, clean, _ = found.steps
    assert [s.role for s in found.steps] == [
        Role.WRITE, Role.LATEST, Role.MAINTENANCE, Role.ACCESS
    ]  # fmt: skip
    assert [s.lost for s in found.steps] == [False, True, False, False]
    assert held(zeroing.after) == STORED
    assert held(write.after) == {"L1D": "-csx", "L2": "-csx", "L3": "-csx", "memory": "cs"}
    assert "is a dc ivac, executed as clean and invalidate" in clean.notes
    assert held(clean.after) == {"L1D": "-cs", "L2": "-cs", "L3": "-cs", "memory": "cs"}
    assert found.path == ((0,), (1,), (6,), (8,))


def test_a_write_that_changed_no_state_is_told_all_the_same() -> None:
    """The page was zeroed, then written: the second write leaves state 1 and is no event."""
    writer = raw.event(1, Op.ST, pc=raw.HOST_PC + 0x40, flags=HOST, cells=1)
    zeroing = raw.event(1, Op.DC_ZVA, flags=HOST)
    found = told((zeroing, raw.event(2, Op.DC_CVAU, flags=DONE)), 7, writer=writer)
    assert [s.role for s in found.steps] == [
        Role.WRITE, Role.LATEST, Role.MAINTENANCE, Role.ACCESS
    ]  # fmt: skip
    assert "changed no state" in found.steps[1].notes[0]
    # a copy of the zeroes that was written back is old now, and may still be dirty on its way down
    assert held(found.steps[1].after)["L2"] == "-cdsx"


def test_stores_of_other_bytes_do_not_make_the_cell_stale() -> None:
    """State 2: the line is dirty, this cell's part of it is what memory holds."""
    neighbour = raw.event(1, Op.ST, flags=HOST, cells=0b10)
    own = raw.event(2, Op.ST, pc=0x1234, flags=HOST, cells=1)
    found = told((neighbour, own), 1)
    assert found.steps[0].notes == ("other bytes of the line",)
    assert held(found.steps[0].after) == {"L1D": "-cd", "L2": "-cd", "L3": "-cd", "memory": "c"}
    assert found.path == ((0,), (2,), (1,))


def test_stores_that_fill_a_line_may_meet_it_dirty() -> None:
    """One instruction in a loop is one event: the cell's old value may be on its way down, dirty."""
    found = told((raw.event(1, Op.ST, flags=HOST, cells=0xFF),), 1)
    expected = {"L1D": "-cd", "L2": "-cdsx", "L3": "-cdsx", "memory": "cs"}
    assert held(found.steps[0].after) == expected


def test_a_clean_without_dsb_may_have_acted_or_not() -> None:
    """The state in which it has not is the one that explains the read."""
    found = told((raw.event(1, Op.ST, flags=HOST), raw.event(2, Op.DC_CIVAC, flags=HOST)), 1)
    assert found.steps[1].notes == ("no DSB seen",)
    assert found.steps[-1].before.states == (1,)


def test_what_is_forgotten_is_a_gap_and_no_guess() -> None:
    """Any state may have been before; a store ends in one that is known."""
    found = told((raw.event(1, Op.ST, flags=HOST),), 1, truncated=1)
    gap, write, access = found.steps
    assert gap.role is Role.GAP
    assert not gap.before.known
    assert set(write.before.states) == set(range(len(found.meanings)))
    assert write.after.states == access.before.states == (1,)
    assert found.trust is Trust.RECENT


def test_a_history_that_does_not_lead_to_the_record_tells_only_the_end() -> None:
    found = told((raw.event(1, Op.ST, flags=HOST),), 3)
    assert found.trust is Trust.END
    assert [s.before.known for s in found.steps] == [False, True]
    assert found.steps[-1].before.states == (3,)
    assert found.path == ((3,),)


@pytest.mark.parametrize(
    ("completed", "expected"),
    [(Flag(0), "-cs"), (Flag.COMPLETED, "-c")],
    ids=["no dsb", "dsb"],
)
def test_the_instruction_cache_has_a_bar_of_its_own(completed: Flag, expected: str) -> None:
    """It may have fetched before the write; emptied after a clean it can refill only rightly."""
    fetch = raw.guest_access(Op.IF, Kind.WB, flags=Flag.MMU_ON)
    history = (
        raw.event(1, Op.ST, flags=HOST),
        raw.event(2, Op.DC_CVAC, flags=DONE),
        raw.event(3, Op.IC_IVAU, flags=HOST | completed),
    )
    found = told(history, 0, fetch, FindingKind.STALE_FETCH)
    bar = found.steps[-1].before.icache
    assert bar is not None
    assert "".join(k for k, copy in LETTERS.items() if copy in bar.may_hold) == expected
    assert held(found.steps[-1].before)["memory"] == "c"


def test_reads_of_data_have_no_instruction_cache() -> None:
    found = told((raw.event(1, Op.ST, flags=HOST),), 1)
    assert all(step.before.icache is None for step in found.steps)


def test_agents_are_ordered_and_devices_come_last() -> None:
    history = (
        raw.event(1, Op.DMA_WR, cells=0xFF, pe=0, flags=0),
        raw.event(2, Op.ST, pe=10, flags=HOST),
        raw.event(3, Op.ST, pc=0x1234, pe=2, flags=HOST, cells=2),
    )
    found = told(history, 1, raw.guest_access(Op.LD, Kind.NC, pe=3), writer=history[1])
    assert found.agents == ("P2", "P3", "P10", "D0")
    assert [s.operation for s in found.steps] == ["wr", "st wb", "st wb", "ld nc"]
