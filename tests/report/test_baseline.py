"""What a baseline has is known: not reported again, counted, and new findings are not hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import reports

from pocwatch.report import baseline, json, jsonl, text
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Known

FETCH, READ = reports.findings()


@pytest.mark.parametrize("form", [json, jsonl])
def test_known_findings_are_left_out_and_counted(tmp_path: Path, form: object) -> None:
    file = tmp_path / "old"
    form.write(reports.report(findings=[FETCH]), file)  # type: ignore[attr-defined]
    elsewhere = replace(FETCH, count=5, access=replace(FETCH.access, pc=0x9000_0000))
    found = baseline.apply(reports.report(findings=[READ, elsewhere]), baseline.load(file))
    assert found.findings == [READ]
    assert found.known == Known(str(file), 1, 5)
    rendered = text.render(found)
    assert "1 finding on platform" in rendered
    assert f"known from {file}: 1 finding, seen 5 times" in rendered


def test_nothing_known_is_said_as_well(tmp_path: Path) -> None:
    json.write(reports.report(findings=[]), tmp_path / "old")
    found = baseline.apply(reports.report(), baseline.load(tmp_path / "old"))
    assert len(found.findings) == 2
    assert f"known from {tmp_path / 'old'}: no findings" in text.render(found)


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("{}")
    with pytest.raises(UsageError, match="names no schema"):
        baseline.load(tmp_path / "old")
