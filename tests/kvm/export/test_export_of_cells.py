"""Cells of the matrix, exported: what other checkers say, and pocwatch's own of the same program."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import rumur_driver
import spin_driver
from measured import Limits, Said

from pocwatch import platforms
from pocwatch.check.result import Verdict
from pocwatch.check.search import check
from pocwatch.kvm import policy, scenario
from pocwatch.kvm.export import cell
from pocwatch.kvm.export.concrete import Do, ExportError, Program, Set, Thread, do, judge
from pocwatch.kvm.export.graph import Arc
from pocwatch.kvm.export.murphi import murphi
from pocwatch.kvm.export.promela import promela
from pocwatch.kvm.export.semantics import System
from pocwatch.kvm.export.stepwise import Stepwise
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.verdict import Word
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of

LIMITS = Limits(seconds=60, memory_mib=2048)
SMALL = "cortex-a57"

# scenario, policy, platform, what other checkers say, states over the same caches (None: stopped before)
CELLS = (
    ("boot-image", "pou-on-fault", "xgene-l3", Said.STALE, None),
    ("boot-image", "poc-on-fault", "xgene-l3", Said.PROVED, 150),
    ("guest-enables-mmu", "poc-on-fault", "cortex-a57", Said.STALE, None),
    ("guest-enables-mmu", "mainline-2014", "cortex-a57", Said.PROVED, 99),
    ("swap", "mainline-2014", "cortex-a57", Said.STALE, None),
    ("swap", "mainline-2015", "cortex-a57", Said.PROVED, 1680),
)

needs_spin = pytest.mark.skipif(
    spin_driver.absent() is not None, reason=spin_driver.absent() or ""
)
needs_rumur = pytest.mark.skipif(
    rumur_driver.absent() is not None, reason=rumur_driver.absent() or ""
)
each_cell = pytest.mark.parametrize(
    ("names", "said", "states"),
    [(c[:3], c[3], c[4]) for c in CELLS],
    ids=["-".join(c[:3]) for c in CELLS],
)


def exported(scenario_name: str, policy_name: str, platform_name: str) -> Program:
    platform = platforms.load(platform_name)
    return cell.program(SCENARIOS[scenario_name], POLICIES[policy_name], platform)


def over_table(program: Program) -> System[PendingCell]:
    start = PendingCell.initial(automaton_of(program.platform), program.pes)
    return System(program, start, functools.cache(step_cell))


@needs_spin
@each_cell
def test_spin(names: tuple[str, ...], said: Said, states: int | None, tmp_path: Path) -> None:
    text = promela(exported(*names))
    found = spin_driver.verify(text, tmp_path, "depth first", 1, LIMITS, "-O0")
    assert found.said is said


@needs_rumur
@each_cell
def test_rumur(names: tuple[str, ...], said: Said, states: int | None, tmp_path: Path) -> None:
    program = exported(*names)
    found = rumur_driver.verify(murphi(program), tmp_path, "breadth first", 1, LIMITS, "-O0")
    assert found.said is said
    own = check(Stepwise(program))
    if own.trace is None:
        assert (found.states, own.states) == (states, states)
    else:
        assert found.trace == len(own.trace)


@needs_rumur
def test_a_dropped_barrier_is_noticed(tmp_path: Path) -> None:
    """A seeded mistake: the last DSB before the guest's read waits for nothing."""
    text = murphi(exported("boot-image", "poc-on-fault", SMALL))
    waits = " & (forall k: Line do forall p: Place do cell[k][p].queue_p1[0].op = NONE end end)"
    assert text.count(waits) == 2
    first, second, rest = text.split(waits)
    found = rumur_driver.verify(
        first + waits + second + rest, tmp_path, "breadth first", 1, LIMITS, "-O0"
    )
    assert found.said is Said.STALE


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "anything"])
def test_the_exported_program_has_the_verdict_of_the_data_side(name: str) -> None:
    platform = platforms.load(SMALL)
    for made in POLICIES.values():
        if made.why_not(platform, name) is not None:
            continue
        if name == "icache-isolation":
            with pytest.raises(ExportError, match="only fetches"):
                cell.program(SCENARIOS[name], made, platform)
            continue
        program = cell.program(SCENARIOS[name], made, platform)
        found = check(over_table(program)).verdict is Verdict.VIOLATED
        wanted = cell.expected(SCENARIOS[name], made, platform).verdict
        assert found == (wanted in (Word.UNSAFE, Word.LEAK)), (name, made.name)


@pytest.mark.parametrize("name", ["mainline-2014", "mainline-2021"])
def test_the_same_for_anything(name: str) -> None:
    """A control graph of thousands of places, which stays nondeterministic."""
    platform = platforms.load(SMALL)
    program = cell.program(SCENARIOS["anything"], POLICIES[name], platform)
    found = check(over_table(program)).verdict is Verdict.VIOLATED
    wanted = cell.expected(SCENARIOS["anything"], POLICIES[name], platform).verdict
    assert found == (wanted is not Word.SAFE)


def test_the_data_side_may_be_safe_where_the_cell_is_not() -> None:
    """Cleaned to the PoC, and nobody invalidates the I-caches: then only fetches may be stale."""
    platform = platforms.load(SMALL)
    unsafe = [
        name
        for name, made in POLICIES.items()
        if made.why_not(platform, "boot-image") is None
        and cell.expected(SCENARIOS["boot-image"], made, platform).verdict is Word.UNSAFE
    ]
    assert unsafe == ["none", "pou-on-fault", "poc-on-prefetch-abort", "setway-at-first-run"]


def test_one_page_is_enough_where_the_other_is_alike() -> None:
    program = exported("boot-image", "poc-on-fault", SMALL)
    assert program.lines == 1
    (thread,) = program.threads
    words = [str(arc.does.step) for arc in thread.arcs if isinstance(arc.does, Do)]
    clean = ["P1 dc cvau", "P1 dsb", "P1 dc civac", "P1 dsb"]
    assert words == ["P0 st wb", "P0 st wb", *clean, "P1 ld dev"]
    assert exported("swap", "mainline-2015", SMALL).lines == 2
    assert exported("vgic-mmio", "mainline-2015", SMALL).lines == 1


@pytest.mark.parametrize("write", [promela, murphi])
def test_a_kernel_developer_can_read_it(write: object) -> None:
    args = SCENARIOS["boot-image"], POLICIES["poc-on-fault"], platforms.load(SMALL)
    result = cell.expected(*args)
    text = write(cell.with_expected(cell.program(*args), result))  # type: ignore[operator]
    assert "boot-image x poc-on-fault; platform cortex-a57" in text
    assert "vCPU0: dc civac; dsb (poc-on-fault: at_data_fault)" in text
    assert "vCPU0: reads (Device: M=0 C=0 I=0)" in text
    assert "Left out: the instruction side" in text
    assert f"What pocwatch finds: no read is stale, proved over {result.states} states" in text
    assert max(map(len, text[: text.index("What pocwatch")].splitlines())) < 130


def test_a_policy_that_does_not_apply_is_refused() -> None:
    with pytest.raises(ExportError, match=r"boot-image x fwb on cortex-a57: not applicable: .*S2FWB"):
        exported("boot-image", "fwb", SMALL)


class NeverWaits:
    """Maintenance without a barrier, wherever a page is mapped."""

    name = "never-waits"
    origin = 'a test; "quotes" and */'

    def at_map(self, occasion: object) -> tuple[object, ...]:
        from pocwatch.arch.ops import Op

        return (Op.DC_CVAC,)


@needs_spin
def test_any_author_s_words_may_stand_in_the_text(tmp_path: Path) -> None:
    odd = replace(SCENARIOS["boot-image"], description='one\n"two" */ × ü \\')
    assert isinstance(odd, scenario.Scenario)
    program = cell.program(odd, policy.of(NeverWaits), platforms.load(SMALL))
    found = spin_driver.verify(promela(program), tmp_path, "depth first", 1, LIMITS, "-O0")
    assert found.said is Said.STALE


def test_a_loop_that_never_waits_has_no_room() -> None:
    (issue,), (read,) = do("P0 dc cvac"), judge("P1 ld nc")
    thread = Thread("t", (Arc(0, issue, 0), Arc(0, read, 1)))
    with pytest.raises(ExportError, match="P0 may issue maintenance again"):
        murphi(Program("p", platforms.load(SMALL), (thread,)))


def test_loops_and_choices_of_several_threads(tmp_path: Path) -> None:
    """Graphs need not come from a cell: two threads, a loop each, a flag in one of them."""
    (write,), (clean,), (dsb,), (read,) = (
        *(do(text) for text in ("P0 st wb", "P0 dc cvac", "P0 dsb")), judge("P1 ld nc"),
    )  # fmt: skip
    writer = Thread(
        "writer",
        (Arc(0, write, 1), Arc(1, clean, 2), Arc(2, dsb, 3), Arc(1, None, 0), Arc(3, Set(0), 0)),
    )
    reader = Thread("reader", (Arc(0, read, 0),))
    program = Program("p", platforms.load(SMALL), (writer, reader), pes=2)
    own = check(Stepwise(program))
    assert own.verdict is check(over_table(program)).verdict is Verdict.VIOLATED
    if spin_driver.absent() is None:
        found = spin_driver.verify(promela(program), tmp_path, "depth first", 1, LIMITS, "-O0")
        assert found.said is Said.STALE
