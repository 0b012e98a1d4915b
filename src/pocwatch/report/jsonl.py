"""The report as JSON Lines, for tools that read line by line: header, findings, summary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocwatch.report import files
from pocwatch.report import json as report_json
from pocwatch.sanitizer.findings import Report

SCHEMA = "pocwatch-report-lines/1"
_HEADER = ("platform", "platform_definition", "qemu", "command")
"""Keys that are known before the machine runs; the summary has the rest."""


def data(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the lines as plain values."""
    values = report_json.data(report)
    yield {"type": "header", "schema": SCHEMA, **{key: values[key] for key in _HEADER}}
    for finding in values["findings"]:
        yield {"type": "finding", **finding}
    rest = {k: v for k, v in values.items() if k not in (*_HEADER, "schema", "findings")}
    yield {"type": "summary", "findings": len(values["findings"]), **rest}


def render(report: Report) -> str:
    """Return the report, one JSON object in each line."""
    return "".join(json.dumps(line) + "\n" for line in data(report))


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--jsonl", path, render(report))
