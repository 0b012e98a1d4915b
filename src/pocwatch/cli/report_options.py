"""How a report is asked for: the options that every command with a report of a run shares.

A form that a report can be written as is one entry of `FORMATS` and one module of
`pocwatch.report` of that name with `write(report, path)`; the option, the check before the machine
starts and the writing after it follow.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
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
    # Further forms go here, such as Format("html", "Write the report as one page of HTML."),
)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What is asked of a report: files by the name of their format, how much is shown."""

    files: Mapping[str, Path]
    max_findings: int | None = None
    suppressions: Path | None = None

    def _wanted(self) -> list[tuple[Format, Path]]:
        return [(form, self.files[form.name]) for form in FORMATS if form.name in self.files]

    def check(self) -> None:
        """Raise UsageError, before the machine starts, for files that could not be written."""
        from pocwatch.report import files
        from pocwatch.sanitizer.errors import UsageError

        first: dict[Path, str] = {}
        for form, path in self._wanted():
            files.check_writable(form.option, path)
            other = first.setdefault(path.absolute(), form.option)
            if other != form.option:
                raise UsageError(
                    f"{form.option} {path}: {other} writes this file; give them two names"
                )

    def write(self, report: Report) -> None:
        """Write every file asked for. Raise MachineError, after all were tried, for the first lost."""
        from pocwatch.sanitizer.errors import MachineError

        failed: list[MachineError] = []
        for form, path in self._wanted():
            try:
                form.write(report, path)
            except MachineError as error:
                failed.append(error)
        if failed:
            raise failed[0]


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
        *(click.option(f.option, type=_PATH, metavar="FILE", help=f.help) for f in FORMATS),
        max_findings_option(None),
    ]


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; it gets them as one argument, `reporting`."""

    @functools.wraps(command)
    def collected(
        *args: Any, max_findings: int | None, suppressions: Path | None, **rest: Any
    ) -> Any:
        given = {form.name: rest.pop(form.name) for form in FORMATS}
        files = {name: path for name, path in given.items() if path is not None}
        return command(*args, reporting=ReportOptions(files, max_findings, suppressions), **rest)

    for option in reversed(_options()):
        collected = option(collected)
    return collected
