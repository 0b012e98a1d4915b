"""`pocwatch demo`: the machine that shows what pocwatch is for, run three times."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocwatch.cli.report_options import ReportOptions, max_findings_option
from pocwatch.cli.stacks_option import stacks_option

if TYPE_CHECKING:
    from pocwatch.demo.machine import Machine
    from pocwatch.report.groups import Group
    from pocwatch.sanitizer.findings import Report

# Linux arch/arm64/mm/cache.S: what KVM's stage-2 fault path cleans a page with.
_CLEANER = "dcache_clean_inval_poc"
_MINIMUM_WIDTH = 120  # columns for two reports side by side


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the machine."""

    name: str
    title: str
    drop: tuple[str, ...] = ()
    weaken: tuple[str, ...] = ()


CASES = (
    Case("clean", "KVM as it is"),
    Case("dropped", "without the stage-2 clean", drop=(f"dc civac@{_CLEANER}",)),
    Case("weakened", "cleaned to the PoU only", weaken=(f"dc civac=dc cvau@{_CLEANER}",)),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for clean.json, dropped.json and weakened.json, and the same as .html.",
)
@click.option(
    "--machine",
    "lab",
    type=click.Path(path_type=Path, file_okay=False),
    help="Boot nothing: leave the machine's files in this directory, and say how to run it yourself.",
)
@click.option("--cpu", default="cortex-a57", show_default=True, help="The emulated CPU.")
@click.option("--smp", default=1, show_default=True, type=click.IntRange(1, 64), help="CPUs.")
@click.option(
    "--scenario", default="guest", show_default=True, help="`guest`, or `host`: Linux alone."
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the machine is kept between runs; default: the user's cache folder.",
)
@click.option(
    "--events",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Record the first run as `pocwatch run --events` does.",
)
@stacks_option
@max_findings_option(3)
def command(
    out: Path | None,
    lab: Path | None,
    cpu: str,
    smp: int,
    scenario: str,
    cache: Path | None,
    events: Path | None,
    stacks: int,
    max_findings: int,
) -> int:
    """Boot Linux as a KVM host and guest, with and without KVM's cache clean.

    Prepares the machine from distribution packages (once), then boots it as it is; with the
    DC CIVAC of KVM's stage-2 fault path dropped; and with it weakened to DC CVAU. Exits with 0 if
    that showed what it must: nothing in the first run, and in the others a guest that reads and
    runs stale memory while its MMU is off.

    \b
    Examples:
      pocwatch demo --out results
      pocwatch demo --machine lab
    """
    from pocwatch.cli import execute
    from pocwatch.demo import machine
    from pocwatch.sanitizer.errors import EXIT_CLEAN, EXIT_FINDINGS, UsageError
    from pocwatch.sanitizer.launch import Options

    if (out is None) == (lab is None):
        raise UsageError("give --out DIR to run the demonstration, or --machine DIR to have its files")
    if out is not None:
        _make(out, "--out")
    prepared = machine.prepare(cache or machine.default_cache_dir(), progress=execute.note)
    if out is None:
        assert lab is not None
        _make(lab, "--machine")
        _hand_out(prepared, lab, cpu, smp, scenario)
        return EXIT_CLEAN
    qemu_command = prepared.qemu_args(cpu=cpu, smp=smp, scenario=scenario)
    reports: list[Report] = []
    for case in CASES:
        execute.note(f"--- {case.name}: {case.title}")
        options = Options(
            command=qemu_command,
            symbols=prepared.symbol_options(),
            drop=case.drop,
            weaken=case.weaken,
            events=events if case is CASES[0] else None,
            stacks=stacks,
        )
        written = {form: out / f"{case.name}.{form}" for form in ("json", "html")}
        reporting = ReportOptions(written, max_findings)
        report = execute.run(options, reporting, quiet=False)
        reports.append(report)
        if report.machine_failed:
            return reporting.exit_code(report)
    _show(reports)
    missing = [
        line
        for case, report in zip(CASES, reports, strict=True)
        for line in check(case, report, cpu, scenario)
    ]
    for line in missing:
        execute.note(f"not as it must be: {line}")
    return EXIT_FINDINGS if missing else EXIT_CLEAN


def _make(folder: Path, option: str) -> None:
    from pocwatch.sanitizer.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {folder}: cannot be made ({error.strerror})") from None


def _hand_out(prepared: Machine, folder: Path, cpu: str, smp: int, scenario: str) -> None:
    """Copy the machine's files and print the command that runs it under pocwatch."""
    from pocwatch.sanitizer.errors import MachineError

    try:
        mine = prepared.copied_to(folder)
    except OSError as error:
        raise MachineError(f"--machine {folder}: cannot be written ({error.strerror})") from None
    symbols = [word for text in mine.symbol_options() for word in ("--symbols", text)]
    qemu = mine.qemu_args(cpu=cpu, smp=smp, scenario=scenario)
    click.echo(shlex.join(["pocwatch", "run", *symbols, "--", *qemu]))


def check(case: Case, report: Report, cpu: str = "", scenario: str = "guest") -> list[str]:
    """Return what a run should have shown and did not."""
    if case.name == "clean" or scenario != "guest" or cpu == "max":  # FWB needs no clean
        return [f"{case.name}: {len(report.findings)} findings"] if report.findings else []
    seen = {f.kind for f in report.findings if f.access.vm and f.access.mmu == "off"}
    return [
        f"{case.name}: no {kind} in the guest while its MMU is off"
        for kind in ("stale-read", "stale-fetch")
        if kind not in seen
    ]


def _show(reports: Sequence[Report]) -> None:
    """Print the runs next to each other, or one after the other on a narrow terminal."""
    from rich.columns import Columns
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    from pocwatch.cli.terminal import coloured

    console = Console(color_system="auto" if coloured() else None)
    panels = [
        Panel(Text(_brief(report)), title=f"{case.name}: {case.title}", title_align="left")
        for case, report in zip(CASES, reports, strict=True)
    ]
    if console.width >= _MINIMUM_WIDTH:
        console.print(Columns(panels, equal=True, expand=True))
    else:
        console.print(Group(*panels))


def _headline(same: Group) -> str:
    from pocwatch.report import text

    more = len(same.findings) - 1
    return text.verdict(same.first) + (f", and {more} more of this cause" if more else "")


def _findings(findings: int, causes: int) -> str:
    return f"{findings} findings of {causes} causes" if findings else "no findings"


def _brief(report: Report, shown: int = 8) -> str:
    from pocwatch.report.groups import group

    groups = group(report.findings)
    suppressed = sum(s.count for s in report.suppressed)
    lines = [
        f"{_findings(len(report.findings), len(groups))}, {suppressed} suppressed",
        f"{report.instructions:,} instructions",
        *(f"{op}: {count:,}" for op, count in report.maintenance.items()),
        *(f"rule {rule!r}: {count:,} times" for rule, count in report.dropped.items()),
        "",
        *map(_headline, groups[:shown]),
    ]
    if len(groups) > shown:
        lines.append(f"... and {len(groups) - shown} more causes")
    return "\n".join(lines)
