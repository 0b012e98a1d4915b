"""Counts, in all and over time."""

from __future__ import annotations

from pathlib import Path

from recordings import (
    CISW,
    FETCH_TRANSLATION,
    OFF,
    ON,
    PAGE,
    PERMISSION,
    SCTLR,
    end,
    entry,
    fault,
    maintenance,
    recording,
    tlbi,
    touch,
    trap,
)

from pocwatch.arch.ops import Op
from pocwatch.cost.recording.counted import FaultOf, Lines, Use, counted, over_time
from pocwatch.cost.recording.happenings import Context
from pocwatch.cost.recording.later_use import CACHED, FETCHED, NOT_USED, PAST_CACHES, later_use
from pocwatch.cost.recording.record import Flag
from pocwatch.cost.recording.syndrome import FaultKind
from pocwatch.kvm.policy import Access

PAST = Flag.PAST_CACHES
T, P = FaultKind.TRANSLATION, FaultKind.PERMISSION


def test_all_kinds(tmp_path: Path) -> None:
    made = recording(
        tmp_path,
        entry(10),
        fault(11, PAGE, FETCH_TRANSLATION),
        maintenance(12, Op.DC_CIVAC, PAGE, 64, changed=10, dirty=9),
        entry(13),
        touch(14, PAGE, Op.IF, OFF | PAST),
        fault(15, 99 * PAGE),  # never used as RAM
        entry(16),
        trap(17, SCTLR),
        entry(18),
        trap(19, CISW),
        entry(20),
        touch(21, PAGE, Op.IF, ON),
        touch(22, 512 * PAGE, Op.LD, ON, log2=21),
        touch(23, 513 * PAGE, Op.TW, ON, log2=21),
        fault(24, 512 * PAGE, FETCH_TRANSLATION | PERMISSION),
        tlbi(25, 512 * PAGE),
        entry(26),
        touch(27, 512 * PAGE, Op.LD, ON, log2=21),  # again
        end(30),
    )
    (c,) = counted(made)
    assert c.entries == 6
    assert c.faults == {
        FaultOf(True, T, Access.FETCH, False): 1,
        FaultOf(False, T, Access.READ, False): 1,
        FaultOf(True, P, Access.FETCH, False): 1,
    }
    assert (c.faults_of(T), c.faults_of(T, of_ram=False), c.faults_of(P)) == (1, 1, 1)
    assert (c.register_traps, c.set_way_traps) == ({"SCTLR_EL1": 1}, {"DC CISW": 1})
    assert c.lines(Op.DC_CIVAC, context=Context.FAULT) == Lines(64, 10, 9)
    assert c.lines(Op.DC_CIVAC).redundant == 54
    assert c.first_used == {
        Use(Op.IF, False, True): 1,
        Use(Op.IF, True, False): 1,
        Use(Op.LD, True, False): 1,
        Use(Op.TW, True, False): 1,
    }
    assert (c.first_used_off, c.first_used_on, c.past_caches) == (1, 3, 1)
    assert c.blocks == {PAGE: 1, 512 * PAGE: 1}
    assert c.invalidations == {Context.FAULT: 1}


def test_slices(tmp_path: Path) -> None:
    """What comes before the first entry or after the last exit is in none; page 1 counts once."""
    made = recording(
        tmp_path,
        maintenance(5, Op.DC_CIVAC, PAGE, 3),
        entry(10),
        touch(10, PAGE),
        fault(19, 2 * PAGE),
        maintenance(20, Op.DC_CIVAC, 2 * PAGE, 64),
        entry(25),
        touch(26, PAGE, Op.IF),
        touch(27, 2 * PAGE),
        fault(29, 3 * PAGE),
        maintenance(40, Op.DC_CIVAC, PAGE, 7),
        end(50),
    )
    first, second = over_time(made, 2)
    assert (first.start, first.end, second.start, second.end) == (10, 20, 20, 30)
    assert (first.first_used_off, second.first_used_off) == (1, 1)
    assert first.lines(Op.DC_CIVAC).operations == 0
    assert second.lines(Op.DC_CIVAC).operations == 64


def test_no_guest(tmp_path: Path) -> None:
    made = recording(tmp_path, maintenance(5, Op.DC_CVAU, PAGE, 3), end(50))
    assert made.vms() == []
    assert [c.entries for c in over_time(made, 3)] == [0, 0, 0]
    assert counted(made)[0].lines(Op.DC_CVAU).operations == 3


def test_what_cleaning_was_good_for(tmp_path: Path) -> None:
    """By page: 1 is also used past the caches, 2 is fetched, 3 read, 4 not used."""
    events = [entry(1)]
    for n in (1, 2, 3, 4):
        events += [fault(2, n * PAGE), maintenance(3, Op.DC_CIVAC, n * PAGE, 10 * n), entry(4)]
    events += [
        touch(5, PAGE, Op.IF, ON),
        touch(5, PAGE, Op.LD, ON | PAST),
        touch(5, 2 * PAGE, Op.IF, ON),
        touch(5, 3 * PAGE, Op.LD, ON),
        maintenance(6, Op.DC_CIVAC, PAGE, 1),  # the guest's own
    ]
    made = recording(tmp_path, *events)
    assert later_use(made) == {PAST_CACHES: 10, FETCHED: 20, CACHED: 30, NOT_USED: 40}
