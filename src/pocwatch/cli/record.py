"""`pocwatch record`: keeps what `pocwatch replay` judges, on any platform and as often as one likes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocwatch.cli import complete, options
from pocwatch.cli.stacks_option import stacks_option

if TYPE_CHECKING:
    from pocwatch.sanitizer.recording.record import Recorded

_PATH = click.Path(path_type=Path)


@click.command(
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}
)
@click.option("-o", "--out", type=_PATH, required=True, metavar="FILE", help="The trace (Parquet).")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    callback=options.split,
    metavar="NAME|FILE[,...]",
    shell_complete=complete.platforms_of_run,
    help="Platforms that the trace can be replayed on: shipped ones, TOML files, `auto` (what the "
    "emulated CPU says of itself, plus an external L3). Default: all shipped ones and auto.",
)
@click.option(
    "--symbols",
    multiple=True,
    metavar="[NAME[@ADDRESS]=]FILE",
    help="Names for code, as for `pocwatch run`; those that are used go into the trace. Repeatable.",
)
@stacks_option
@click.option("--quiet", is_flag=True, help="No progress line and no notes, only errors.")
@click.option(
    "--keep", type=_PATH, metavar="DIR", help="Keep the run's raw files (not RAM) in DIR."
)
@click.argument("qemu", nargs=-1, type=click.UNPROCESSED, shell_complete=complete.files)
def command(
    out: Path,
    platforms: list[str],
    symbols: tuple[str, ...],
    stacks: int,
    quiet: bool,
    keep: Path | None,
    qemu: tuple[str, ...],
) -> int:
    """Run a QEMU command and record it for `pocwatch replay`.

    Kept is what changes the state of a line on any of the platforms, and reads that may be stale on
    any. The machine's console stays on standard input and output. A recording that is interrupted, or
    whose machine fails, can be replayed up to there.

    \b
    Examples:
      pocwatch record -o boot.parquet -- qemu-system-aarch64 -M virt -cpu cortex-a57 -m 1G \\
          -nographic -kernel Image -initrd initrd.cpio
      pocwatch replay boot.parquet
      pocwatch replay boot.parquet --policy-drop 'dc civac@dcache_clean_inval_poc'

    Exit codes: 0 recorded, 2 bad input, 3 the machine failed or the trace could not be written.
    """
    from pocwatch.cli.execute import note
    from pocwatch.cli.progress import wanted
    from pocwatch.cli.terminal import StatusLine
    from pocwatch.sanitizer.errors import EXIT_CLEAN, EXIT_MACHINE
    from pocwatch.trace import arrow

    arrow.require()
    from pocwatch.sanitizer.recording import record
    from pocwatch.sanitizer.runfile import Progress

    plan = record.plan(
        record.Options(
            command=qemu,
            out=out,
            platforms=platforms,
            symbols=symbols,
            keep=keep,
            stacks=stacks,
        )
    )
    live = StatusLine(enabled=wanted(quiet, plan.launch.machine.console_on_stdio))

    def show(now: Progress, size: int) -> None:
        live.say(
            f"pocwatch: {now.instructions / 1e6:,.0f} M instructions, trace: {size / 1e6:,.1f} MB"
        )

    say = (lambda _: None) if quiet else note
    try:
        recorded = record.run(plan, say, show)
    finally:
        live.clear()
    for warning in recorded.report.warnings:
        say(f"warning: {warning}")
    say(_summary(out, recorded))
    if recorded.report.machine_failed:
        click.echo(f"pocwatch: error: {recorded.report.failure}", err=True)
        return EXIT_MACHINE
    return EXIT_CLEAN


def _summary(out: Path, recorded: Recorded) -> str:
    if not recorded.size:
        return "nothing was recorded"
    ended = "" if recorded.report.complete else f" until it was cut short ({recorded.report.failure})"
    return (
        f"{out}: {recorded.rows:,} events in {recorded.size / 1e6:,.1f} MB{ended}; "
        f"to judge it: pocwatch replay {out}"
    )
