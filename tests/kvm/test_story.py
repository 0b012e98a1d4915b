"""Every counterexample told: each move on its own is legal, and the last read really gets old data.

Legality is taken from the line model's own functions: `Cell`, which never settles here, says what an
event makes of one configuration; `silent_moves` and `maintain` say what happens between events. Nothing
is taken from the search that found the story.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pocwatch import platforms
from pocwatch.arch import manual
from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Kind, Op
from pocwatch.kvm import vcpu
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.script import seq
from pocwatch.kvm.story.repair import amended
from pocwatch.kvm.story.rows import CACHES, Mark, Row, Story
from pocwatch.kvm.story.telling import tell
from pocwatch.kvm.verdict import Result, Word, decide
from pocwatch.line import model
from pocwatch.line.behaviour import By, Move, Situation
from pocwatch.line.calculator import judge
from pocwatch.line.line import CELL_BYTES, read_kind, step_cell
from pocwatch.line.model import Cell, Copy
from pocwatch.line.word import Step, parse
from pocwatch.platforms import ICache, Platform

PLATFORMS = ("xgene-l3", "l2x0-up", "cortex-a53", "fwb")
MAX_STATES = 20_000  # `anything` is followed as far as its counterexamples, not proved
BAD = (Word.UNSAFE, Word.LEAK)


def no_repair(*_: object) -> None:
    """Tell without looking for a repair: that is tested apart."""


@functools.cache
def platform_of(name: str, icache: ICache | None = None) -> Platform:
    platform = platforms.load(name)
    return platform if icache is None else replace(platform, icache=icache)


def stories(name: str, icache: ICache | None = None) -> Iterator[tuple[Story, Platform]]:
    platform = platform_of(name, icache)
    seen = platform
    if platform.stage2_forces_wb:  # docs/decisions/0007: FEAT_S2FWB comes with CTR_EL0.IDC
        seen = replace(platform, idc=True)
    for scenario in SCENARIOS.values():
        for policy in POLICIES.values():
            result = decide(scenario, policy, platform, max_states=MAX_STATES)
            if result.verdict in BAD:
                yield tell(result, scenario, policy, platform, mend=no_repair), seen


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let events of the literal model be events alone, without the silent moves around them."""
    monkeypatch.setattr(Cell, "_settled", lambda self: self)


@pytest.mark.usefixtures("unsettled")
@pytest.mark.parametrize("name", PLATFORMS)
def test_every_row_of_every_counterexample_is_legal(name: str) -> None:
    told = 0
    for story, platform in stories(name):
        check_legal(story, platform)
        check_told(story, platform)
        told += 1
    assert told > 60, "the matrix has that many cells that are not safe"


@pytest.mark.usefixtures("unsettled")
@pytest.mark.parametrize("icache", [ICache.VIPT, ICache.VPIPT, ICache.AIVIVT])
def test_rows_are_legal_with_other_instruction_caches(icache: ICache) -> None:
    for story, platform in stories("xgene-l3", icache):
        if story.fetcher is not None:
            check_legal(story, platform)
            check_told(story, platform)


def check_legal(story: Story, platform: Platform) -> None:
    """Go through the moves one by one; at the end look at what the read gets."""
    where = f"{story.result.scenario} × {story.result.policy}"
    read = story.word[-1]
    now = Situation(model.Configuration(model.at_reset(platform), ()))
    uncached: frozenset[int] = frozenset()
    reachable = True  # by a guest's fetch: of the page's last owner, at first
    first = True
    for row in story.rows[:-1]:
        steps = parse("; ".join(row.steps)) if row.steps else ()
        software = [move for move in row.moves if move.by is By.SOFTWARE]
        assert row.agent != CACHES or not software, where
        left = iter(steps)
        for move in row.moves:
            assert move.before == now, (where, row.number)
            if move.by is By.SOFTWARE:
                step = next(left, None)
                uncached = check_event(platform, move, step, read, uncached)
            elif move.by is By.OPERATION:
                check_operation(platform, move, read)
            else:
                check_silent(platform, move, read, reachable)
            now = move.after
        assert not list(left), (where, row.number)
        assert row.moves, (where, row.number)
        check_picture(row, now, story)
        reachable = guests_may_fetch(row, reachable and not (first and software))
        first = first and not software
    assert story.rows[-1].picture.levels == now.caches.levels
    if story.ending is not None and story.ending.verdict == "stale":
        check_stale(platform, now, read, where)


def guests_may_fetch(row: Row, before: bool) -> bool:
    """An entry with execute permission was written, of whatever page, and not cleared since."""
    if row.agent == CACHES:
        return before
    if "clears the stage 2 entry" in row.event:
        return False
    return before or ("writes the stage 2 entry" in row.event and "x)" in row.event)


def check_event(
    platform: Platform, move: Move, step: Step | None, read: Step, uncached: frozenset[int]
) -> frozenset[int]:
    before, after = move.before, move.after
    if step is None:
        assert after.cell == before.cell
        assert after.icache in (before.icache, Copy.ABSENT)
        return uncached
    own = step.offset // CELL_BYTES == read.offset // CELL_BYTES
    cell = Cell(platform, frozenset({before.cell}), pes=2, uncached_stores=uncached)
    made = step_cell(cell, step, own=own)
    assert after.cell in made.configurations, step
    if step.op is Op.DSB:
        assert all(pe != step.agent for pe, _ in after.invalidations), "complete at the dsb"
    issued = [(step.agent, step.op)] if step.op in INSTRUCTION_MAINTENANCE else []
    assert after.invalidations == (*before.invalidations, *issued)
    if step.op in (Op.ST, Op.DMA_WR) and own and before.icache is not Copy.ABSENT:
        assert platform.dic or after.icache is Copy.STALE_CLEAN
    elif step.op is Op.IF and after.icache != before.icache:
        assert before.icache is Copy.ABSENT
        assert step.agent == read.agent
        assert after.icache.latest == behind(platform, before, read_kind(step))
    else:
        assert after.icache == before.icache
    return made.uncached_stores


def check_operation(platform: Platform, move: Move, read: Step) -> None:
    before, after, op = move.before, move.after, move.op
    assert op is not None
    if op in INSTRUCTION_MAINTENANCE:
        waiting = list(before.invalidations)
        waiting.remove((move.issuer, op))
        assert after.invalidations == tuple(waiting)
        assert after.cell == before.cell
        mine = op is not Op.IC_IALLU or move.issuer == read.agent
        assert after.icache is (Copy.ABSENT if mine else before.icache)
        return
    queue = before.cell.queue(move.issuer)
    assert queue[0].op is op, "operations of a PE stay in order"
    assert after.cell.queue(move.issuer) == queue[1:]
    assert after.caches in model.maintain(platform, op)(before.caches)
    assert after == before._replace(cell=after.cell)


def check_silent(platform: Platform, move: Move, read: Step, reachable: bool) -> None:
    before, after = move.before, move.after
    if after.icache == before.icache:
        assert (move.act, after.caches) in set(model.silent_moves(before.caches, fill=True))
        assert after == before.with_caches(after.caches)
        return
    assert after == before._replace(icache=after.icache)
    if before.icache is Copy.ABSENT:
        kind = read_kind(read)
        assert read.op is Op.IF
        assert not platform.dic
        assert kind is Kind.WB or reachable, "only guests fetch Non-cacheable"
        assert after.icache.latest == behind(platform, before, kind)
    else:
        assert after.icache is Copy.ABSENT


def behind(platform: Platform, now: Situation, kind: Kind) -> bool:
    return now.caches.view(platform.pou) if kind is Kind.WB else now.caches.memory_latest


def check_stale(platform: Platform, now: Situation, read: Step, where: str) -> None:
    if read.op is Op.IF:
        held = now.icache is not Copy.ABSENT
        latest = now.icache.latest if held else behind(platform, now, read_kind(read))
        assert not latest, where
        return
    cell = Cell(platform, frozenset({now.cell}), pes=2)
    if read.op is Op.LD:
        cell = cell.load(read.agent, read_kind(read))
    assert cell.configurations, f"{where}: the read may not meet what is pending there"
    assert cell.reads(read_kind(read)), where


def check_picture(row: Row, now: Situation, story: Story) -> None:
    """What is drawn is what there is; a copy is the latest exactly if it has the last write's data."""
    picture = row.picture
    assert (picture.levels, picture.memory_latest) == now.caches
    assert picture.icache is now.icache
    writes = [
        r.number
        for r in story.rows[: row.number]
        if any(s.split()[1] in ("st", "wr") and "+" not in s for s in r.steps)
    ]
    last = max(writes, default=0)
    held = zip(picture.levels, picture.data.levels, strict=True)
    for copy, data in (*held, (picture.icache, picture.data.icache)):
        assert (copy is Copy.ABSENT) == (data is None)
        assert copy is Copy.ABSENT or copy.latest == (data == last)
    assert picture.memory_latest == (picture.data.memory == last)


def check_told(story: Story, platform: Platform) -> None:
    """Nothing of the trace is left out, and what is said at the end fits the rows."""
    rows = iter(story.rows)
    for action in story.result.trace:
        assert any((row.agent, row.event) == (action.agent, action.event) for row in rows), action
    steps = [step for row in story.rows for step in row.steps]
    assert steps == [str(step) for step in story.word]
    verdict = judge(platform, story.word)[-1].verdict
    ending = story.ending
    assert ending is not None
    assert verdict != "fresh"
    assert ending.latest == max(r.number for r in story.rows if r.mark is Mark.LATEST)
    assert story.rules
    assert story.reasons
    assert story.rows[-1].mark is Mark.STALE
    if ending.verdict == "stale":
        assert ending.got != ending.latest
        assert ending.place


# --- One story by hand --------------------------------------------------------------------------


def cell(scenario: str, policy: str, name: str) -> Story:
    parts = SCENARIOS[scenario], POLICIES[policy], platform_of(name)
    return tell(decide(*parts), *parts)


def test_what_a_clean_to_the_pou_leaves_behind() -> None:
    """By hand: zeroes and image go to L1D, the clean to the PoU moves them to L2: memory gets nothing."""
    story = cell("boot-image", "pou-on-fault", "xgene-l3")
    pictures = [(row.event, row.picture) for row in story.rows]
    zeroed = next(p for event, p in pictures if event == "zeroes a new page")
    assert zeroed.levels == (Copy.LATEST_DIRTY, Copy.ABSENT, Copy.ABSENT)
    assert zeroed.memory_latest is False
    cleaned = next(p for event, p in pictures if event.startswith("dc cvau"))
    assert cleaned.levels == (Copy.LATEST_CLEAN, Copy.LATEST_DIRTY, Copy.ABSENT)
    ending = story.ending
    assert ending is not None
    assert (ending.place, ending.got) == ("memory", 0)
    assert story.rows[ending.latest - 1].event == "writes guest RAM"
    assert "Point of Unification, L2" in " ".join(story.reasons)
    assert "cleaned to the Point of Coherency" in story.rules[0]


def test_a_repair_is_proved_and_placed() -> None:
    """By hand: the entry is published while memory is stale, so the clean goes before that."""
    story = cell("boot-image", "pou-on-fault", "xgene-l3")
    remedy = story.remedy
    assert remedy is not None
    assert (remedy.hooks, remedy.operations) == (("at_map",), ("dc cvac", "dsb"))
    ((hook, before),) = remedy.rows
    assert hook == "at_map"
    assert story.rows[before - 1].event.startswith("writes the stage 2 entry")


# What Linux did about them: facts B1.5, B1.3, B1.6, B1.14.
HISTORY = {
    ("swap", "mainline-2014"): ("at_unmap",),
    ("guest-enables-mmu", "poc-on-fault"): ("at_mmu_trap",),
    ("guest-setway", "mainline-2014"): ("at_set_way_trap",),
    ("icache-isolation", "mainline-2015"): ("at_vcpu_load",),
}


@pytest.mark.parametrize(("cell_of", "hooks"), HISTORY.items())
def test_repairs_are_where_linux_made_them(
    cell_of: tuple[str, str], hooks: tuple[str, ...]
) -> None:
    story = cell(*cell_of, "xgene-l3")
    assert story.remedy is not None
    assert story.remedy.hooks == hooks
    operations = tuple(op for op in Op if op.spelling in story.remedy.operations)
    ordered = tuple(next(o for o in operations if o.spelling == s) for s in story.remedy.operations)
    other = amended(POLICIES[cell_of[1]], hooks, ordered)
    assert decide(SCENARIOS[cell_of[0]], other, platform_of("xgene-l3")).verdict is Word.SAFE


def test_an_amended_policy_does_what_it_did_and_then_more() -> None:
    policy = POLICIES["pou-on-fault"]
    other = amended(policy, ("at_data_fault",), (Op.DC_CVAC, Op.DSB))
    occasion = SimpleNamespace(platform=platform_of("xgene-l3"), executable=False, access=None)
    did = policy.operations("at_data_fault", occasion)  # type: ignore[arg-type]
    does = other.operations("at_data_fault", occasion)  # type: ignore[arg-type]
    assert does == (*did, Op.DC_CVAC, Op.DSB)
    assert other.operations("at_unmap", occasion) == ()  # type: ignore[arg-type]
    assert not other.on(platform_of("xgene-l3")).traps_mmu
    assert amended(policy, ("at_mmu_trap",), ()).on(platform_of("xgene-l3")).traps_mmu


def test_a_leak_names_the_other_tenant() -> None:
    """By hand: VM 0's guest wrote with its MMU off; an I-cache took that before the page was freed."""
    story = cell("page-recycle", "xen-2014", "xgene-l3")
    ending = story.ending
    assert ending is not None
    assert story.rows[(ending.got or 0) - 1].agent == "vCPU0"
    assert "VM 0" in ending.gets
    assert "another tenant's data" in ending.gets
    assert ending.place == "I-cache"


def test_data_overwritten_by_an_old_dirty_line_is_lost() -> None:
    """By hand: the zeroes stay dirty in L1D, the guest writes past them, and they come down on it."""
    story = cell("dma-bootloader", "none", "xgene-l3")
    ending = story.ending
    assert ending is not None
    assert story.rows[(ending.got or 0) - 1].event == "zeroes a new page"
    assert story.rows[ending.latest - 1].agent == "vCPU0"
    assert "lost" in ending.how
    assert [row.agent for row in story.rows].count(CACHES) == 3, "L1D to L2 to L3 to memory"
    assert "written back at any time" in story.rules[0]


def test_an_instruction_that_only_the_pipeline_holds() -> None:
    """By hand: the code is coherent after the dsb, but nothing synchronised the context since."""
    all_on = vcpu.sctlr(m=True, c=True, i=True)
    duties = (Op.DC_CVAU, Op.DSB, Op.IC_IVAU, Op.DSB)
    script = seq(vcpu.run(), all_on, vcpu.write(), *map(vcpu.maintain, duties), vcpu.fetch())
    scenario = Scenario("no-isb", "New code is executed without an ISB.", "C9", (a_vcpu(script),))
    parts = scenario, POLICIES["pou-on-fault"], platform_of("xgene-l3")
    story = tell(decide(*parts), *parts, mend=no_repair)
    ending = story.ending
    assert ending is not None
    assert (ending.verdict, ending.got, ending.place) == ("unsynced", None, "")
    assert "pipeline" in ending.gets
    assert story.rules[0] == manual.UNSYNCED


def test_cells_that_are_not_bad_have_no_rows() -> None:
    for policy, verdict in (("mainline-2021", Word.SAFE), ("fwb", Word.NOT_APPLICABLE)):
        story = cell("boot-image", policy, "xgene-l3")
        assert (story.result.verdict, story.rows, story.remedy) == (verdict, (), None)


def test_a_trace_of_another_cell_is_refused() -> None:
    parts = SCENARIOS["boot-image"], POLICIES["pou-on-fault"], platform_of("xgene-l3")
    other: Result = decide(SCENARIOS["swap"], POLICIES["mainline-2014"], platform_of("xgene-l3"))
    with pytest.raises(ValueError, match="not one of this scenario"):
        tell(other, *parts, Stage2.FORCED)
