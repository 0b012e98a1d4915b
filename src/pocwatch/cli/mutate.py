"""`pocwatch mutate`: every piece of maintenance dropped alone, judged from one recording."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from pocwatch.cli import complete, options

_PATH = click.Path(path_type=Path)


@click.command(
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    callback=options.split,
    metavar="NAME|FILE[,...]",
    shell_complete=complete.platforms_of_run,
    help="Platforms to judge on; `this platform` is the first, `elsewhere` the others. Default: all that "
    "the trace was recorded for, `auto` first; for a QEMU command all shipped ones.",
)
@click.option(
    "--symbols",
    multiple=True,
    metavar="[NAME[@ADDRESS]=]FILE",
    help="Names for code, as for `pocwatch run`; for a QEMU command only. Repeatable.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Judge with so many processes.",
)
@click.option("--json", "json_file", type=_PATH, metavar="FILE", help="Write the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress line and no notes, only the table.")
@click.argument("given", nargs=-1, required=True, type=click.UNPROCESSED, metavar="TRACE|QEMU...")
def command(
    platforms: list[str],
    symbols: tuple[str, ...],
    jobs: int,
    json_file: Path | None,
    quiet: bool,
    given: tuple[str, ...],
) -> int:
    """Drop each call site of cache maintenance alone, and say what it is needed for.

    Takes a trace of `pocwatch record`, or a QEMU command, which is recorded once and not booted again.
    A call site is needed on a platform if without it some read may be stale that is not with it; the
    first of these is shown. Ctrl-C ends it early and keeps what was decided.

    \b
    Examples:
      pocwatch mutate boot.parquet
      pocwatch mutate --platform xgene-l3,neoverse-dic --jobs 4 --json sites.json boot.parquet
      pocwatch mutate -- qemu-system-aarch64 -M virt -cpu cortex-a57 -m 1G -nographic -kernel Image

    Exit codes: 0 all was judged, 2 bad input, 3 the recording is not complete, or not all was judged.
    """
    from pocwatch.cli.execute import note
    from pocwatch.cli.terminal import StatusLine, bar
    from pocwatch.report import files, mutations
    from pocwatch.sanitizer.errors import EXIT_CLEAN, EXIT_MACHINE, UsageError
    from pocwatch.trace import arrow

    arrow.require()
    from pocwatch.sanitizer.mutating import campaign
    from pocwatch.sanitizer.replaying import replay

    if json_file is not None:
        files.check_writable("--json", json_file)
    say: Callable[[str], None] = (lambda _: None) if quiet else note
    source: contextlib.AbstractContextManager[Path]
    if len(given) > 1 and given[1].startswith("-") and Path(given[0]).suffix == ".parquet":
        raise UsageError(f"{given[1]} stands behind the trace {given[0]}: options go before it")
    if len(given) > 1 or Path(given[0]).name.startswith("qemu-system"):
        source = _recorded(given, platforms, symbols, say)
    elif symbols:
        raise UsageError("--symbols: a trace has its own; give them to `pocwatch record`")
    else:
        source = contextlib.nullcontext(Path(given[0]))
    with source as trace:
        known = replay.plan(replay.Options(trace, platforms, jobs=jobs))
        plan = known if platforms else campaign.with_first(known, "auto")
        for line in plan.damage:
            say(f"warning: {line}")
        live = StatusLine(enabled=not quiet)
        try:
            found = campaign.run(plan, lambda done, of: live.say(f"pocwatch: shards {bar(done, of)}"))
        finally:
            live.clear()
    click.echo(mutations.render(found), nl=False)
    if json_file is not None:
        files.write("--json", json_file, mutations.render_json(found))
    return EXIT_CLEAN if found.complete else EXIT_MACHINE


@contextlib.contextmanager
def _recorded(
    qemu: Sequence[str],
    platforms: Sequence[str],
    symbols: Sequence[str],
    say: Callable[[str], None],
) -> Iterator[Path]:
    """Record a machine, for as long as its trace is needed. Raise MachineError if it did not start."""
    from pocwatch.sanitizer.errors import MachineError
    from pocwatch.sanitizer.recording import record

    with tempfile.TemporaryDirectory(prefix="pocwatch-mutate-") as folder:
        out = Path(folder) / "trace.parquet"
        plan = record.plan(record.Options(qemu, out, platforms, symbols))
        recorded = record.run(plan, say, lambda _progress, _size: None)
        if not recorded.size:
            raise MachineError(recorded.report.failure or "nothing was recorded")
        yield out
