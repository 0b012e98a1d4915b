"""`pocwatch run`: a prefix to a QEMU command, as valgrind is to a program."""

from __future__ import annotations

from pathlib import Path

import click

from pocwatch.cli import complete
from pocwatch.cli.profile_options import ProfileOptions, profile_options
from pocwatch.cli.report_options import ReportOptions, report_options
from pocwatch.cli.stacks_option import stacks_option

_PATH = click.Path(path_type=Path)


@click.command(
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}
)
@click.option(
    "--platform",
    default="auto",
    show_default=True,
    metavar="NAME|FILE",
    shell_complete=complete.platforms_of_run,
    help="The caches: a shipped platform, a TOML file, or `auto`: what the emulated CPU says of "
    "itself, plus an external L3.",
)
@click.option(
    "--symbols",
    multiple=True,
    metavar="[NAME[@ADDRESS]=]FILE",
    help="Names for code: /proc/kallsyms text, an ELF file or an arm64 kernel image. NAME is "
    "`host` (default) or `guest`; ADDRESS, where the image lies in RAM (the guest's: IPA), is "
    "found by itself if left out. The -kernel image is used without being named. Repeatable.",
)
@click.option(
    "--drop",
    multiple=True,
    metavar="OP@WHERE",
    help="Let the machine forget maintenance. OP: dc civac, ic ivau, ..., `dc *`, `*`. WHERE, the "
    "code that issues it: SYMBOL, `user` (all of EL0's), 0xLO-0xHI or PC:0xLO-0xHI; or the memory "
    "it is for: IPA:0xLO-0xHI, PA:0xLO-0xHI; or `*`. LO is included, HI is not. Repeatable.",
)
@click.option(
    "--weaken",
    multiple=True,
    metavar="OP=NEWOP@WHERE",
    help="Let the machine do another operation instead. Repeatable.",
)
@report_options
@click.option("--unsynced", is_flag=True, help="Report fetches that lack only an ISB, too.")
@click.option("--redundant", is_flag=True, help="Count maintenance that changed nothing.")
@stacks_option
@profile_options
@click.option("--quiet", is_flag=True, help="No progress line and no notes, only the report.")
@click.option(
    "--keep", type=_PATH, metavar="DIR", help="Keep the run's raw files (not RAM) in DIR."
)
@click.option(
    "--stream",
    type=_PATH,
    metavar="FILE",
    help="Record every access, for `pocwatch bench --stream`: the file may be gzipped then.",
)
@click.option(
    "--events",
    type=_PATH,
    metavar="FILE",
    help="Record what happens between a hypervisor and its guests: faults, traps, maintenance, pages.",
)
@click.option(
    "--dma",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Watch what virtio, NVMe and AHCI devices read and write in RAM. They snoop the caches "
    "unless the device tree given by QEMU's -dtb does not say `dma-coherent`.",
)
@click.argument("qemu", nargs=-1, type=click.UNPROCESSED, shell_complete=complete.files)
def command(
    platform: str,
    symbols: tuple[str, ...],
    drop: tuple[str, ...],
    weaken: tuple[str, ...],
    reporting: ReportOptions,
    unsynced: bool,
    redundant: bool,
    stacks: int,
    profiling: ProfileOptions,
    quiet: bool,
    keep: Path | None,
    stream: Path | None,
    events: Path | None,
    dma: str,
    qemu: tuple[str, ...],
) -> int:
    """Run a QEMU command and report where it may read stale memory.

    The machine's console stays on standard input and output; the report goes to standard error.
    QEMU 9.1 or newer, `-M virt` or `-M sbsa-ref`, a 64-bit -cpu.

    \b
    Examples:
      pocwatch run -- qemu-system-aarch64 -M virt -cpu cortex-a57 -m 1G \\
          -nographic -kernel Image -initrd initrd.cpio
      pocwatch run --json report.json --symbols guest=guest/Image -- qemu-system-aarch64 ...
      pocwatch run --drop 'dc civac@dcache_clean_inval_poc' -- qemu-system-aarch64 ...
      pocwatch run --weaken 'dc civac=dc cvau@dcache_clean_inval_poc' -- qemu-system-aarch64 ...
      pocwatch run --profile --folded maintenance.folded -- qemu-system-aarch64 ...
      pocwatch run --baseline yesterday.json --sarif new.sarif -- qemu-system-aarch64 ...

    Exit codes: 0 clean, 1 findings (or --error-exitcode), 2 bad input, 3 the machine failed.
    """
    from pocwatch.cli import execute
    from pocwatch.sanitizer.launch import Options

    profiling.check()
    options = Options(
        command=qemu,
        platform=platform,
        symbols=symbols,
        drop=drop,
        weaken=weaken,
        suppressions=reporting.suppressions,
        unsynced=unsynced,
        redundant=redundant,
        keep=keep,
        stream=stream,
        events=events,
        stacks=stacks,
        dma=dma == "auto",
        profile=profiling.found.append if profiling.wanted else None,
    )
    report = execute.run(options, reporting, quiet=quiet)
    if not report.machine_failed:
        profiling.run_again(options, quiet=quiet)
    profiling.write()
    return reporting.exit_code(report)
