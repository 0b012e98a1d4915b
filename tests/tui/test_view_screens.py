"""Whole screens: golden files beside this test; set POCWATCH_PROMOTE=1 to accept new ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import reports
import synthetic_trace
from pilot import shown
from viewers import PLATFORM, of_report

from pocwatch.trace.reader import Trace
from pocwatch.tui.app import Viewer
from pocwatch.tui.trace_source import Views

SCREENS = {
    "findings": ("", (80, 24)),
    "fold": ("z j j", (80, 24)),
    "events": ("G l j", (80, 24)),
    "state": ("j l j l", (80, 24)),
    "rule": ("j l j l l", (120, 40)),
    "repair": ("r", (80, 24)),
    "help": ("question_mark", (80, 24)),
    "wide": ("j", (160, 30)),
}


def compare(name: str, lines: list[str]) -> None:
    golden = Path(__file__).with_name(f"{name}.screen.txt")
    text = "\n".join(lines) + "\n"
    if os.environ.get("POCWATCH_PROMOTE"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", SCREENS)
def test_screen(name: str) -> None:
    pressed, size = SCREENS[name]
    compare(name, shown(of_report(), pressed, size))


def test_screen_of_a_clean_report() -> None:
    compare("clean", shown(of_report(reports.report(findings=[]))))


def test_screen_of_a_trace(tmp_path: Path) -> None:
    records = synthetic_trace.records(400, lines=30, sites=20)
    (tmp_path / "t.parquet").write_bytes(synthetic_trace.trace_bytes(records, 1000))
    with Trace(tmp_path / "t.parquet") as trace:
        first = Views(trace, PLATFORM).first
        first.grow()
        compare("trace", shown(Viewer(first, "t.parquet"), "j z j"))
