"""Runs a machine for a command: progress, notes, and the report in every form asked for."""

from __future__ import annotations

import click

from pocwatch.cli.progress import Counters, wanted
from pocwatch.cli.report_options import ReportOptions
from pocwatch.cli.terminal import StatusLine
from pocwatch.report import text
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.runfile import Progress


def note(line: str) -> None:
    """Say something about the run on standard error."""
    click.echo(f"pocwatch: {line}", err=True)


def run(options: launch.Options, reporting: ReportOptions, *, quiet: bool) -> Report:
    """Run the machine, print and write the report. Raise RunError when it cannot even start."""
    reporting.check()
    plan = launch.plan(options)
    live = StatusLine(enabled=wanted(quiet, plan.machine.console_on_stdio))
    counters = Counters()

    def show(now: Progress) -> None:
        live.say(counters.text(now))

    try:
        report = launch.run(plan, (lambda _: None) if quiet else note, show)
    finally:
        live.clear()
    return deliver(report, reporting)


def deliver(report: Report, reporting: ReportOptions, *, to_stderr: bool = True) -> Report:
    """Print the report, write its files; return what was reported: findings not of the baseline."""
    report = reporting.new(report)
    if report.watched:
        shown = text.render(report, reporting.max_findings)
        click.echo(shown, err=to_stderr, nl=False)
    reporting.write(report)
    if report.machine_failed:
        click.echo(f"pocwatch: error: {report.failure}", err=True)
    return report
