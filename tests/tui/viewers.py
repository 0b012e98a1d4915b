"""Viewers of made reports and traces."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import reports
import synthetic_trace

from pocwatch import platforms
from pocwatch.sanitizer.findings import Finding, Report
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.tui.app import Viewer
from pocwatch.tui.report_source import Findings

PLATFORM = platforms.load("xgene-l3")
PLACES = 9  # of the first cause


def free(finding: Finding) -> Finding:
    """A finding that no rule provoked, with the same events."""
    history = tuple(replace(event, flags=event.flags & ~12, rule=None) for event in finding.history)
    maintenance = tuple(
        replace(each, event=replace(each.event, flags=each.event.flags & ~12, rule=None))
        for each in finding.maintenance
    )
    return replace(finding, history=history, maintenance=maintenance)


def report(*, provoked: bool = False) -> Report:
    """Three causes: one at ten places, one at one, a lost write."""
    fetch, read = reports.findings() if provoked else map(free, reports.findings())
    more = [
        replace(fetch, access=replace(fetch.access, symbol=f"place_{n}+0x4"))
        for n in range(1, PLACES + 1)
    ]
    return reports.report(findings=[fetch, read, reports.lost_write(), *more])


def of_report(given: Report | None = None, **options: Any) -> Viewer:
    accepted: list[Suppression] = []
    rows = Findings(given or report(), PLATFORM, accepted)
    return Viewer(rows, "report.json", accepted=accepted, **options)


def write_trace(path: Path, rows: int = 3000, generation: int = 700) -> Path:
    memory = io.BytesIO(synthetic_trace.trace_bytes(rows, generation))
    path.write_bytes(memory.getvalue())
    return path
