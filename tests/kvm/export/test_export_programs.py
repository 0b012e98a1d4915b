"""What is refused, what is projected, and what does not depend on the tools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pocwatch
from pocwatch import platforms
from pocwatch.check.audit import audit
from pocwatch.check.result import Verdict
from pocwatch.check.search import Symmetry, check
from pocwatch.kvm.export.concrete import (
    Each,
    ExportError,
    Program,
    Set,
    Wait,
    do,
    each,
    judge,
    straight,
)
from pocwatch.kvm.export.murphi import murphi
from pocwatch.kvm.export.promela import promela
from pocwatch.kvm.export.question import Order, question
from pocwatch.kvm.export.semantics import System
from pocwatch.kvm.export.stepwise import Stepwise
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import parse

XGENE = platforms.load("xgene-l3")
COMPARE = Path(__file__).parents[3] / "bench" / "model_checkers" / "compare.py"


def over_table(program: Program) -> System[PendingCell]:
    return System(program, PendingCell.initial(automaton_of(program.platform)))


def test_cost_is_linear_in_lines() -> None:
    """Seven states a line: three of the host, its clean pending or done, two of the guest."""
    for lines in (1, 4, 64):
        program = question(XGENE, lines, clean="dc civac")
        checked = [check(over_table(program.of_line(line))) for line in range(lines)]
        assert all(c.verdict is Verdict.HOLDS for c in checked)
        assert sum(c.states for c in checked) == 7 * lines


def test_concrete_caches_are_exponential_in_lines() -> None:
    counts = [
        check(Stepwise(question(XGENE, lines, clean="dc civac"))).states for lines in (1, 2)
    ]
    assert counts == [88, 2288]


def test_a_missing_clean_has_the_shortest_trace() -> None:
    checked = check(over_table(question(XGENE, 64, clean=None).of_line(63)))
    assert checked.trace is not None
    assert checked.trace.actions == (
        "P0 st wb, line 0",
        "P0 dsb",
        "Set(flag=0)",
        "Wait(flag=0)",
        "P1 ld dev, line 0",
    )


def test_lines_in_any_order_may_be_exchanged() -> None:
    model = over_table(question(XGENE, 3, clean="dc civac", order=Order.ANY))
    assert audit(model) == 25
    assert check(model, symmetry=Symmetry.IGNORED).states == 25
    assert check(model).states == 13


def test_a_projection_keeps_barriers_and_flags_and_drops_other_lines() -> None:
    program = question(XGENE, 3, clean="dc cvac").of_line(1)
    assert [len(thread.instructions) for thread in program.threads] == [4, 2]
    assert program.lines == 1


def test_the_text_is_the_same_every_time() -> None:
    program = question(XGENE, 2, clean="dc civac")
    assert promela(program) == promela(program)
    assert murphi(program) == murphi(program)
    assert "scalarset" not in murphi(program)
    assert "scalarset(2)" in murphi(question(XGENE, 2, clean=None, order=Order.ANY))


def test_levels_of_any_name_become_identifiers() -> None:
    text = 'pes = 1\nfirst_unified = "memory"\n[[levels]]\nname = "my cache"\n'
    program = question(platforms.parse(text, "mine"), 1, clean=None)
    assert "unsigned level0 : 3;" in promela(program)
    assert "level0: Copy;" in murphi(program)


READER = (straight("reader", judge("P0 ld nc")),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Program("p", XGENE, READER * 2), "names must differ"),
        (lambda: Program("p", XGENE, (straight("A b", ()),)), "'A b'"),
        (lambda: Program("p", XGENE, READER, lines=0), "0 lines"),
        (lambda: Program("p", XGENE, (straight("t", do("P0 st wb", [1])),)), "line 1"),
        (lambda: Program("p", XGENE, (straight("t", judge("P0 st wb")),)), "accepted are ld, tw"),
        (lambda: Program("p", XGENE, (straight("t", judge("P0 if wb")),)), "accepted are ld, tw"),
        (lambda: Program("p", XGENE, (straight("t", each("P0 dsb")),)), "concerns no line"),
        (lambda: promela(Program("p", XGENE, (straight("t", (Set(0), Wait(0))),))), "nothing"),
        (lambda: murphi(Program("p", XGENE, (straight("t", ()),))), "nothing to check"),
        (lambda: promela(question(XGENE, 300, clean=None)), "250 processes"),
    ],
)
def test_errors_name_the_thing(make: object, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        make()  # type: ignore[operator]


def test_fills_stop_only_if_every_pe_switches_off() -> None:
    off = do("P0 mmu off; P1 mmu off")
    thread = straight("t", (*off, Each(parse("P0 ld wb")[0], judged=True)))
    assert Program("p", XGENE, (thread,), pes=2).fills_may_stop
    assert not Program("p", XGENE, (thread,), pes=3).fills_may_stop
    assert "FILL" in promela(Program("p", XGENE, (thread,), pes=2))
    assert "FILL" not in promela(Program("p", XGENE, (thread,), pes=3))


def test_the_comparison_does_without_the_tools() -> None:
    done = subprocess.run(
        [sys.executable, str(COMPARE), "--lines", "1,2", "--seconds", "20"],
        env={**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(Path(pocwatch.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "left out: spin and gcc not found: apt-get install spin gcc" in done.stderr
    assert "left out: rumur and gcc not found" in done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if "| by line |" in line]
    assert [row[2].split(" in ")[0] for row in rows] == ["7", "6"]
    assert rows[0][3].startswith("14 in ")
    assert rows[1][3].endswith(" s, 5 steps")
    assert "SPIN |" not in done.stdout
