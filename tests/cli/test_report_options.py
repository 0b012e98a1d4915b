"""The options of a report: collected into one record, refused in time, every file written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pocwatch.cli import report_options as options
from pocwatch.cli.report_options import Format, ReportOptions
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.findings import Report

REPORT = Report(True, "auto", "10.0.2", ())


def asked(*args: str) -> ReportOptions:
    given: list[Any] = []

    @click.command()
    @options.report_options
    @click.option("--other")
    def command(reporting: ReportOptions, other: str | None) -> None:
        given.append(reporting)

    done = CliRunner().invoke(command, args)
    assert done.exit_code == 0, done.output
    return given[0]


def test_options_become_one_record() -> None:
    assert asked() == ReportOptions({})
    given = asked("--json", "a.json", "--max-findings", "3", "--suppressions", "s.toml")
    assert given.files == {"json": Path("a.json")}
    assert (given.max_findings, given.suppressions) == (3, Path("s.toml"))


@pytest.mark.parametrize("form", options.FORMATS, ids=lambda f: f.name)
def test_every_format_is_refused_in_time_and_written(form: Format, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^--{form.name} .*there is no directory"):
        asked(form.option, str(tmp_path / "none" / "file")).check()
    wanted = asked(form.option, str(tmp_path / "file"))
    wanted.check()
    wanted.write(REPORT)
    assert (tmp_path / "file").read_text()


def test_two_formats_in_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "FORMATS", (Format("json", ""), Format("other", "")))
    target = tmp_path / "file"
    with pytest.raises(UsageError, match="--json writes this file"):
        ReportOptions({"json": target, "other": target}).check()


def test_a_file_that_fails_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def write(form: Format, _report: Report, path: Path) -> None:
        if form.name == "first":
            raise MachineError(f"{path} is lost")
        written.append(form.name)

    monkeypatch.setattr(options, "FORMATS", (Format("first", ""), Format("second", "")))
    monkeypatch.setattr(Format, "write", write)
    with pytest.raises(MachineError, match="a is lost"):
        ReportOptions({"first": Path("a"), "second": Path("b")}).write(REPORT)
    assert written == ["second"]
