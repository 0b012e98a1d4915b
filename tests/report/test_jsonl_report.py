"""JSON Lines: header, a line for each finding, summary; readable line by line and as a whole."""

from __future__ import annotations

import json as stdlib_json

import any_report
import pytest
import reports
from hypothesis import given, settings

from pocwatch.report import json, jsonl, load
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Report


def test_lines() -> None:
    lines = [stdlib_json.loads(line) for line in jsonl.render(reports.report()).splitlines()]
    assert [line["type"] for line in lines] == ["header", "finding", "finding", "summary"]
    assert lines[0]["schema"] == "pocwatch-report-lines/1"
    assert lines[0]["command"][:2] == ["pocwatch", "run"]
    assert [line["kind"] for line in lines[1:3]] == ["stale-fetch", "stale-read"]
    assert (lines[3]["findings"], lines[3]["complete"]) == (2, True)


@settings(max_examples=40, deadline=None)
@given(any_report.REPORT)
def test_exact_round_trip(report: Report) -> None:
    assert load.parse(jsonl.render(report), "r.jsonl") == report


def test_every_key_of_the_report_is_in_one_of_the_lines() -> None:
    header, *_, summary = jsonl.data(reports.report())
    both = set(header) & set(summary)
    assert both == {"type"}
    assert (set(header) | set(summary)) - {"type"} == set(json.data(reports.report()))


def test_a_file_cut_short_is_refused() -> None:
    lines = jsonl.render(reports.report()).splitlines()
    for kept in (1, 3):
        with pytest.raises(UsageError, match="ends without its summary line"):
            load.parse("\n".join(lines[:kept]) + "\n", "r.jsonl")
    with pytest.raises(UsageError, match=r"r\.jsonl: line 3: is not JSON"):
        load.parse("\n".join([*lines[:2], lines[2][:50]]), "r.jsonl")
