"""`pocwatch replay`: a trace on any platform it was recorded for, with maintenance taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pocwatch.cli import complete, options
from pocwatch.cli.profile_options import ProfileOptions, profile_options_of_replay
from pocwatch.cli.report_options import ReportOptions, report_options

_PATH = click.Path(path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trace", type=_PATH, metavar="FILE", shell_complete=complete.files)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    callback=options.split,
    metavar="NAME|FILE[,...]",
    shell_complete=complete.platforms_of_run,
    help="Platforms to judge it on, of those it was recorded for. Default: all of them.",
)
@click.option(
    "--policy-drop",
    "drop",
    multiple=True,
    metavar="OP@WHERE",
    help="Let the machine forget maintenance, as `pocwatch run --drop` does. Repeatable.",
)
@report_options
@profile_options_of_replay
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Judge with so many processes.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Judge on a Dask cluster; its workers read FILE at the same path and have pocwatch installed.",
)
@click.option("--quiet", is_flag=True, help="No progress line and no notes, only the reports.")
def command(
    trace: Path,
    platforms: list[str],
    drop: tuple[str, ...],
    reporting: ReportOptions,
    profiling: ProfileOptions,
    jobs: int,
    scheduler: str | None,
    quiet: bool,
) -> int:
    """Judge a trace that `pocwatch record` made, as `pocwatch run` would have judged the machine.

    There is one report for each platform. With several, `--json report.json` and the like write
    report-NAME.json for each. What of the trace cannot be read is said, and the rest is judged. The
    profile of maintenance is one for all platforms: it says on which of them each call site is needed.

    \b
    Examples:
      pocwatch replay boot.parquet
      pocwatch replay boot.parquet --platform xgene-l3-up --json report.json
      pocwatch replay boot.parquet --policy-drop 'dc civac@dcache_clean_inval_poc' --jobs 4
      pocwatch replay boot.parquet --platform auto,neoverse-dic --profile

    Exit codes: 0 clean, 1 findings on some platform, 2 bad input, 3 the trace is not complete.
    """
    from pocwatch.cli.execute import deliver, note
    from pocwatch.cli.terminal import StatusLine, bar
    from pocwatch.sanitizer.replaying import replay

    if scheduler is not None and jobs != 1:
        raise click.UsageError("--jobs and --scheduler exclude each other: give one of the two")
    profiling.check()
    plan = replay.plan(
        replay.Options(
            trace,
            platforms,
            drop,
            reporting.suppressions,
            jobs,
            scheduler,
            profiling.found.append if profiling.wanted else None,
        )
    )
    several = len(plan.platforms) > 1
    wanted = {name: _of_platform(reporting, name, several) for name in plan.platforms}
    for each in wanted.values():
        each.check()
    if not quiet:
        for line in plan.damage:
            note(f"warning: {line}")
    live = StatusLine(enabled=not quiet)
    codes = []
    try:
        reports = replay.run(plan, lambda done, of: live.say(f"pocwatch: shards {bar(done, of)}"))
        for (name, each), report in zip(wanted.items(), reports, strict=True):
            live.clear()
            if several:
                click.echo(f"pocwatch: platform {name}:", err=True)
            codes.append(each.exit_code(deliver(report, each)))
    finally:
        live.clear()
    profiling.write()
    return max(codes, default=0)


def _of_platform(reporting: ReportOptions, name: str, several: bool) -> ReportOptions:
    """Return what is asked of one platform's report: of several, each has files of its own."""
    if not several:
        return reporting

    def own(path: Path) -> Path:
        return path.with_name(f"{path.stem}-{Path(name).stem}{path.suffix}")

    generated = reporting.gen_suppressions
    return replace(
        reporting,
        files={form: own(path) for form, path in reporting.files.items()},
        gen_suppressions=generated if generated in (None, "-") else str(own(Path(str(generated)))),
    )
