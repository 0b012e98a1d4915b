"""`pocwatch report`: a saved report once more, in any form that `run` could have written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pocwatch.cli.report_options import ReportOptions, report_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@report_options
@click.argument("saved", metavar="REPORT.json", type=click.Path(path_type=Path))
def command(saved: Path, reporting: ReportOptions) -> int:
    """Show a saved report of `run` again, or write it in another form.

    REPORT.json is what `pocwatch run --json` or --jsonl wrote. The text goes to standard output, to
    standard error if suppressions go to standard output. --suppressions and --baseline take
    findings out of it as they do in `run`.

    \b
    Examples:
      pocwatch report report.json
      pocwatch report report.json --sarif report.sarif --junit report.xml
      pocwatch report today.json --baseline yesterday.json
      pocwatch report report.json --gen-suppressions - > accepted.toml

    Exit codes: those of the run, for what is left: 0 clean, 1 findings (or --error-exitcode), 2 bad
    input, 3 the machine had failed.
    """
    from pocwatch.cli import execute
    from pocwatch.report import load
    from pocwatch.sanitizer import suppressions
    from pocwatch.sanitizer.suppressions.apply import apply

    reporting.check()
    report = load.load(saved)
    if reporting.suppressions is not None:
        report = apply(report, suppressions.load(reporting.suppressions))
    if not report.watched:
        report = replace(report, watched=True)  # to say how it ended is all there is to show
    to_stderr = reporting.gen_suppressions == "-"
    return reporting.exit_code(execute.deliver(report, reporting, to_stderr=to_stderr))
