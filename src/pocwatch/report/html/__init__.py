"""The report of a run as one self-contained HTML page: data first (`data`), drawn by its script."""

from __future__ import annotations

from pathlib import Path

from pocwatch.sanitizer.findings import Report


def write(report: Report, path: Path) -> None:
    """Write the page whole or not at all. Raise MachineError when the disk does not take it."""
    from pocwatch.report import files
    from pocwatch.report.html.page import render

    files.write("--html", path, render(report))
