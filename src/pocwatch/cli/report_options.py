"""How a report is asked for: the options that every command with a report of a run shares.

A form that a report can be written as is one entry of `FORMATS` and one module of
`pocwatch.report` of that name with `write(report, path)`; the option, the check before the machine
starts and the writing after it follow.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pocwatch.report.baseline import Baseline
    from pocwatch.sanitizer.findings import Report

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Format:
    """A form of the report: `--NAME FILE` is written by `pocwatch.report.NAME`."""

    name: str
    help: str

    @property
    def option(self) -> str:
        """The option that asks for it."""
        return f"--{self.name}"

    def write(self, report: Report, path: Path) -> None:
        """Write the report. Raise MachineError when the disk does not take it."""
        importlib.import_module(f"pocwatch.report.{self.name}").write(report, path)


FORMATS = (
    Format("json", "Write the report as JSON."),
    Format("jsonl", "Write it as JSON Lines: a header, a line for each finding, a summary."),
    Format("sarif", "Write it as SARIF 2.1.0, for code scanning."),
    Format("junit", "Write it as JUnit XML: a suite for each kind, a failing case for each place."),
    Format(
        "perfetto", "Write a timeline for ui.perfetto.dev: who did what, states of lines, arrows."
    ),
    Format("html", "Write it as one HTML page with drawings, for people."),
)


@dataclass(frozen=True)
class ReportOptions:
    """What is asked of a report: files by the name of their format, what is shown, what counts."""

    files: Mapping[str, Path]
    max_findings: int | None = None
    suppressions: Path | None = None
    baseline: Path | None = None
    gen_suppressions: str | None = None  # a file, "-": standard output
    error_exitcode: int | None = None

    def _wanted(self) -> list[tuple[Format, Path]]:
        return [(form, self.files[form.name]) for form in FORMATS if form.name in self.files]

    @functools.cached_property
    def _known(self) -> Baseline | None:
        """The baseline as it was when the run was asked for: the run may be what replaces it."""
        from pocwatch.report import baseline

        return None if self.baseline is None else baseline.load(self.baseline)

    def check(self) -> None:
        """Raise UsageError, before the machine starts, for files that cannot be read or written."""
        from pocwatch.report import files
        from pocwatch.sanitizer.errors import UsageError

        written = [(form.option, path) for form, path in self._wanted()]
        if self.gen_suppressions not in (None, "-"):
            written.append(("--gen-suppressions", Path(str(self.gen_suppressions))))
        first: dict[Path, str] = {}
        for option, path in written:
            files.check_writable(option, path)
            other = first.setdefault(path.absolute(), option)
            if other != option:
                raise UsageError(f"{option} {path}: {other} writes this file; give them two names")
        _ = self._known

    def new(self, report: Report) -> Report:
        """Return the report without the findings that the baseline has."""
        from pocwatch.report import baseline

        return report if self._known is None else baseline.apply(report, self._known)

    def exit_code(self, report: Report) -> int:
        """Return the exit code that a report stands for."""
        from pocwatch.sanitizer.errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_MACHINE

        if report.machine_failed:
            return EXIT_MACHINE
        found = EXIT_FINDINGS if self.error_exitcode is None else self.error_exitcode
        return found if report.findings else EXIT_CLEAN

    def write(self, report: Report) -> None:
        """Write every file asked for. Raise MachineError, after all were tried, for the first lost."""
        from pocwatch.sanitizer.errors import MachineError

        failed: list[MachineError] = []
        try:
            self._write_suppressions(report)
        except MachineError as error:
            failed.append(error)
        for form, path in self._wanted():
            try:
                form.write(report, path)
            except MachineError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def _write_suppressions(self, report: Report) -> None:
        from pocwatch.report import files
        from pocwatch.sanitizer.suppressions.generate import generate

        if self.gen_suppressions is None:
            return
        text = generate(report.findings)
        if self.gen_suppressions == "-":
            click.echo(text, nl=False)
        else:
            files.write("--gen-suppressions", Path(self.gen_suppressions), text)


def max_findings_option(default: int | None) -> Callable[..., Any]:
    """Return `--max-findings` alone, for a command that chooses its files itself."""
    return click.option(
        "--max-findings",
        type=click.IntRange(min=0),
        default=default,
        show_default=default is not None,
        metavar="N",
        help="Show at most N causes in the text; all findings are counted and in the files.",
    )


def _options() -> list[Callable[..., Any]]:
    return [
        click.option(
            "--suppressions",
            type=_PATH,
            metavar="FILE",
            help="Findings that were analysed and accepted (TOML), besides the shipped ones.",
        ),
        click.option(
            "--baseline",
            type=_PATH,
            metavar="FILE",
            help="A report of an earlier run (JSON or JSON Lines): what it has is known, and neither "
            "reported nor counted for the exit code.",
        ),
        click.option(
            "--gen-suppressions",
            metavar="FILE",
            help="Write suppressions for what was found, with reasons to fill in; - is standard "
            "output.",
        ),
        click.option(
            "--error-exitcode",
            type=click.IntRange(0, 255),
            metavar="N",
            help="Exit with N, not 1, if there are findings.",
        ),
        *(click.option(f.option, type=_PATH, metavar="FILE", help=f.help) for f in FORMATS),
        max_findings_option(None),
    ]


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; it gets them as one argument, `reporting`."""

    @functools.wraps(command)
    def collected(*args: Any, **rest: Any) -> Any:
        given = {form.name: rest.pop(form.name) for form in FORMATS}
        files = {name: path for name, path in given.items() if path is not None}
        settings = {each.name: rest.pop(each.name) for each in fields(ReportOptions)[1:]}
        return command(*args, reporting=ReportOptions(files, **settings), **rest)

    for option in reversed(_options()):
        collected = option(collected)
    return collected
