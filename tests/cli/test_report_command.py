"""`pocwatch report`: a saved report again, in other forms, without what is known or accepted."""

from __future__ import annotations

import json as stdlib_json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import reports

from pocwatch.report import json, text
from pocwatch.sanitizer.findings import Report
from pocwatch.trace.records import Flag

REPORT = reports.report()


def pocwatch(*args: str) -> subprocess.CompletedProcess[str]:
    code = "from pocwatch.cli.main import main; main()"
    command = [sys.executable, "-c", code, "report", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    json.write(REPORT, tmp_path / "r.json")
    return tmp_path / "r.json"


def test_text_by_default(saved: Path) -> None:
    done = pocwatch(str(saved))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == text.render(REPORT)


def test_forms_are_those_that_the_run_would_have_written(saved: Path, tmp_path: Path) -> None:
    lines, again = tmp_path / "r.jsonl", tmp_path / "again.json"
    assert pocwatch(str(saved), "--jsonl", str(lines)).returncode == 1
    assert pocwatch(str(lines), "--json", str(again)).returncode == 1
    assert again.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    ("report", "options", "code"),
    [
        (REPORT, ["--error-exitcode", "42"], 42),
        (REPORT, ["--error-exitcode", "0"], 0),
        (replace(REPORT, findings=()), ["--error-exitcode", "42"], 0),
        (replace(REPORT, complete=False, failure="killed", machine_failed=True), [], 3),
    ],
)
def test_exit_codes(report: Report, options: list[str], code: int, tmp_path: Path) -> None:
    json.write(report, tmp_path / "r.json")
    done = pocwatch(str(tmp_path / "r.json"), *options)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_baseline_leaves_what_is_new(saved: Path, tmp_path: Path) -> None:
    first, second = REPORT.findings
    json.write(replace(REPORT, findings=[first]), tmp_path / "old.json")
    new = tmp_path / "new.json"
    done = pocwatch(str(saved), "--baseline", str(tmp_path / "old.json"), "--json", str(new))
    assert done.returncode == 1
    assert "1 finding, seen 3 times" in done.stdout
    data = stdlib_json.loads(new.read_text())
    assert [each["kind"] for each in data["findings"]] == [second.kind]
    assert data["known"]["count"] == 1
    done = pocwatch(str(saved), "--baseline", str(saved))
    assert done.returncode == 0, "nothing is new"


def test_a_baseline_may_be_the_file_that_is_written(saved: Path) -> None:
    done = pocwatch(str(saved), "--baseline", str(saved), "--json", str(saved))
    assert (done.returncode, stdlib_json.loads(saved.read_text())["findings"]) == (0, [])


def test_generated_suppressions_suppress_what_was_found(tmp_path: Path) -> None:
    unprovoked = [
        replace(
            each,
            maintenance=(),
            history=tuple(replace(e, flags=e.flags & ~Flag.DROPPED) for e in each.history),
        )
        for each in REPORT.findings
    ]
    json.write(replace(REPORT, findings=unprovoked), tmp_path / "r.json")
    done = pocwatch(str(tmp_path / "r.json"), "--gen-suppressions", "-")
    assert done.stdout.startswith("# Suppressions written by"), "the report is on standard error"
    assert "2 findings" in done.stderr
    (tmp_path / "accepted.toml").write_text(done.stdout)
    done = pocwatch(str(tmp_path / "r.json"), "--suppressions", str(tmp_path / "accepted.toml"))
    assert done.returncode == 0
    assert "suppressed by '1: stale-fetch in primary_entry'" in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--baseline", "/no/old.json"], "/no/old.json: cannot be read"),
        (["--suppressions", "/no/s.toml"], "--suppressions /no/s.toml: cannot be read"),
        (["--gen-suppressions", "/no/s.toml"], "there is no directory /no"),
        (["--error-exitcode", "256"], "256"),
    ],
)
def test_bad_input_is_one_line(saved: Path, options: list[str], says: str) -> None:
    done = pocwatch(str(saved), *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_report(tmp_path: Path) -> None:
    done = pocwatch(str(tmp_path / "none.json"))
    assert done.returncode == 2
    assert "none.json: cannot be read" in done.stderr
