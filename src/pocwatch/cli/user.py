"""`pocwatch user`: a prefix to a program for Arm64 Linux, as valgrind is to a program."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pocwatch.cli import complete
from pocwatch.cli.report_options import ReportOptions, report_options
from pocwatch.cli.stacks_option import stacks_option

_PATH = click.Path(path_type=Path)


@click.command(
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}
)
@click.option(
    "--packages",
    multiple=True,
    metavar="NAME,...",
    help="Debian packages for arm64 that the program needs, such as `luajit`; what they depend on "
    "comes with them. Repeatable.",
)
@click.option(
    "--rootfs", type=_PATH, metavar="DIR", help="An arm64 root of your own, instead of --packages."
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="FILE[:NAME]",
    help="A file that the program needs, and its name in the machine if that is another. Repeatable.",
)
@click.option(
    "--workdir",
    metavar="DIR",
    help="The folder that is packed, and that the program starts in; `none` packs nothing. "
    "[default: the current one]",
)
@click.option(
    "--env", multiple=True, metavar="NAME[=VALUE]", help="A variable for the program. Repeatable."
)
@click.option("--cpu", default="cortex-a57", show_default=True, help="The emulated CPU.")
@click.option("--smp", default=1, show_default=True, type=click.IntRange(1, 64), help="CPUs.")
@click.option(
    "--memory",
    default=1024,
    show_default=True,
    type=click.IntRange(256, 1 << 18),
    metavar="MIB",
    help="The machine's memory; the root is in it.",
)
@click.option(
    "--platform",
    default="auto",
    show_default=True,
    metavar="NAME|FILE",
    shell_complete=complete.platforms_of_run,
    help="The caches, as of `pocwatch run`.",
)
@click.option(
    "--drop",
    multiple=True,
    metavar="OP@WHERE",
    help="Let the machine forget maintenance, as `pocwatch run` does. WHERE may be `user`, all of the "
    "program's code, or a function of the program or its libraries. Repeatable.",
)
@click.option(
    "--weaken",
    multiple=True,
    metavar="OP=NEWOP@WHERE",
    help="Let the machine do another operation instead. Repeatable.",
)
@report_options
@click.option("--unsynced", is_flag=True, help="Report fetches that lack only an ISB, too.")
@click.option("--kernel", is_flag=True, help="Report the kernel's own findings, too.")
@stacks_option
@click.option(
    "--boot", is_flag=True, help="Boot the machine under the sanitizer, instead of its snapshot."
)
@click.option("--quiet", is_flag=True, help="No notes, and no report if nothing was found.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where packages and machines are kept; default: the user's cache folder.",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, shell_complete=complete.files)
def command(
    packages: tuple[str, ...],
    rootfs: Path | None,
    files: tuple[str, ...],
    workdir: str | None,
    env: tuple[str, ...],
    cpu: str,
    smp: int,
    memory: int,
    platform: str,
    drop: tuple[str, ...],
    weaken: tuple[str, ...],
    reporting: ReportOptions,
    unsynced: bool,
    kernel: bool,
    stacks: int,
    boot: bool,
    quiet: bool,
    cache: Path | None,
    program: tuple[str, ...],
) -> int:
    """Run an Arm64 Linux program that generates code, and report where its code may be stale.

    The program runs in a small Linux with its libraries and the current folder. Standard streams
    and the exit status are the program's; the report goes to standard error.

    \b
    Examples:
      pocwatch user -- ./my-jit --selftest
      pocwatch user --packages luajit -- luajit script.lua
      pocwatch user --packages nodejs --drop 'ic ivau@user' -- node script.js
      pocwatch user --rootfs /srv/arm64-root --json report.json -- /usr/bin/php8.2 page.php

    Exit codes: the program's own. With findings: 1 if the program's was 0, or always what
    --error-exitcode says. 2 bad input, 3 the machine failed.
    """
    import sys
    import tempfile

    from pocwatch.cli import execute
    from pocwatch.cli.progress import Counters, wanted
    from pocwatch.cli.terminal import StatusLine
    from pocwatch.demo import cache as caches
    from pocwatch.demo import machine as demo
    from pocwatch.sanitizer.errors import EXIT_MACHINE, UsageError
    from pocwatch.sanitizer.launch import Options
    from pocwatch.user import job, machine, root, run

    if rootfs is not None and packages:
        raise UsageError("--rootfs and --packages exclude each other; give one")
    reporting.check()
    say = (lambda _: None) if quiet else execute.note
    folder = None if workdir == "none" else Path(workdir or Path.cwd()).absolute()
    if folder == Path("/"):
        folder = None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--workdir {workdir}: is no folder; give one, or none")
    wanted_job = job.make(program, folder, files, _environment(env))
    shape = machine.Shape(cpu, smp, memory)
    cache_dir = (cache or caches.default_dir()).absolute()
    with tempfile.TemporaryDirectory(prefix="pocwatch-") as work:
        with caches.locked(cache_dir, say):
            taken = machine.taken_packages(cache_dir, demo.RELEASE, say)
            busybox = (taken / "busybox").read_bytes()
            names = [name for text in packages for name in text.split(",") if name]
            if rootfs is not None:
                base = root.of_folder(rootfs.absolute(), busybox)
            elif names:
                base = root.of_packages(names, busybox, cache_dir, demo.RELEASE, say)
            else:
                base = root.plain(busybox)
            if boot:
                initrd = machine.write_initrd(base, Path(work) / "initrd")
                prepared = machine.Machine(taken / "Image", shape, None, initrd)
            else:
                prepared = machine.prepare(taken, base, shape, cache_dir, say)
        options = Options(
            command=(),
            asked=("pocwatch", *sys.argv[1:]),
            platform=platform,
            drop=drop,
            weaken=weaken,
            suppressions=reporting.suppressions,
            unsynced=unsynced,
            stacks=stacks,
        )
        live = StatusLine(enabled=wanted(quiet, console_on_stdio=True))
        counters = Counters()
        try:
            ended = run.run(
                run.Wanted(wanted_job, base, prepared, options, kernel),
                say,
                lambda now: live.say(counters.text(now)),
            )
        finally:
            live.clear()
    report = ended.report
    if report.findings or not quiet or report.machine_failed:
        report = execute.deliver(report, reporting)
    else:
        reporting.write(report)
    if report.machine_failed:
        return EXIT_MACHINE
    if ended.status is None:
        execute.note(f"error: the program did not end: {ended.reason}")
        return EXIT_MACHINE
    return exit_code(ended.status, bool(report.findings), reporting.error_exitcode)


def exit_code(status: int, found: bool, wanted: int | None) -> int:
    """Return the exit code for a program's status: 0 only if it was 0 and nothing was found."""
    if not found or wanted == 0:
        return status
    return wanted if wanted is not None else status or 1


def _environment(given: tuple[str, ...]) -> dict[str, str]:
    result = {}
    for text in given:
        name, equals, value = text.partition("=")
        if equals or name in os.environ:
            result[name] = value if equals else os.environ[name]
    return result
