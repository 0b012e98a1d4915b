"""`pocwatch calibrate`: the costs of the machine it runs on, as a cost set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pocwatch.cost.calibrate.measure import Cpu, Sample


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The cost set to write (TOML).",
)
@click.option("--force", is_flag=True, help="Overwrite it if it exists.")
@click.option(
    "--last-cache-kib",
    type=click.IntRange(16, 1 << 20),
    metavar="N",
    help="Size of the last cache before memory; default: the last one that Linux knows of.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Measure with up to N threads; default: one for each CPU.",
)
@click.option(
    "--sample-ms",
    type=click.IntRange(1, 60000),
    metavar="N",
    default=20,
    show_default=True,
    help="Time for each sample; at least five rounds are done.",
)
@click.option(
    "--compiler",
    metavar="COMMAND",
    default="cc",
    show_default=True,
    help="C compiler for Arm64 (GCC's options).",
)
@click.option(
    "--runner",
    metavar="COMMAND",
    help="Run the program under an emulator, such as qemu-aarch64: this tries the command, the "
    "numbers mean nothing and the file says so.",
)
def command(
    out: Path,
    force: bool,
    last_cache_kib: int | None,
    threads: int | None,
    sample_ms: int,
    compiler: str,
    runner: str | None,
) -> int:
    """Measure what cache maintenance costs on this Arm64 machine.

    Builds a small C program and runs it, without privileges, for some minutes: DC CVAC, CIVAC and
    CVAU on dirty, clean and absent lines, IC IVAU and DSB, over working sets from 16 KiB to four times
    the last cache, with one to all CPUs. Writes a cost set with every sample. What EL0 cannot measure
    (set/way, faults, traps) is in it as assumed. Interrupted, it keeps what it measured.

    \b
    Examples:
      pocwatch calibrate --out mine.toml
      pocwatch calibrate --out big.toml --last-cache-kib 32768 --threads 4
      pocwatch calibrate --out try.toml --runner qemu-aarch64 \\
          --compiler aarch64-linux-gnu-gcc --last-cache-kib 64 --threads 2 --sample-ms 1
    """
    import signal
    import tempfile

    from pocwatch.cli.terminal import StatusLine
    from pocwatch.cost.calibrate import machine, measure
    from pocwatch.cost.calibrate.errors import CannotCalibrateError

    if runner is None:
        machine.require_arm64()
        last_cache_kib = last_cache_kib or machine.last_cache_kib()
    elif last_cache_kib is None:
        raise CannotCalibrateError("--runner: an emulator has no caches: give --last-cache-kib N, too")
    if out.suffix != ".toml":
        raise CannotCalibrateError(f"--out: {out}: accepted are names that end in .toml")
    if out.exists() and not force:
        raise CannotCalibrateError(f"--out: {out} exists: name another file, or give --force")
    if not out.parent.is_dir():
        raise CannotCalibrateError(f"--out: there is no folder {out.parent}: make it first")

    cpu: Cpu | None = None
    samples: list[Sample] = []
    complete = False
    for number in (signal.SIGTERM, signal.SIGHUP):  # minutes of measuring are not lost to a hang-up
        signal.signal(number, signal.default_int_handler)
    live = StatusLine(enabled=True)
    with tempfile.TemporaryDirectory(prefix="pocwatch-") as folder:
        program = measure.build(compiler, Path(folder), static=runner is not None)
        records = measure.run(
            [*shlex.split(runner or ""), str(program)],
            last_cache_kib=last_cache_kib,
            threads=threads or machine.cpus(),
            sample_ms=sample_ms,
        )
        try:
            for record in records:
                if isinstance(record, measure.Cpu):
                    cpu = record
                    continue
                samples.append(record)
                size = f"{record.bytes // 1024} KiB, {record.threads} threads"
                live.say(f"{record.op}, {record.state}, {size}")
            complete = True
        finally:
            records.close()
            live.clear()
            if cpu is not None and samples:
                _write(out, _cost_set(samples, cpu, last_cache_kib, runner, complete))
                if not complete:
                    click.echo(f"pocwatch: {len(samples)} samples are kept in {out}", err=True)
    _show(out)
    return 0


def _cost_set(
    samples: list[Sample], cpu: Cpu, last_cache_kib: int, runner: str | None, complete: bool
) -> str:
    from pocwatch.cost import model
    from pocwatch.cost.calibrate import derive, machine

    emulated = runner is not None
    where = f"emulated by {runner}" if emulated else f"MIDR_EL1 {machine.midr() or 'not known'}"
    found = derive.costs(samples, cpu, last_cache_kib * 1024, model.load("default"))
    return derive.toml(
        found,
        samples,
        cpu,
        description=f"Calibrated: {where}, last cache {last_cache_kib} KiB",
        emulated=emulated,
        complete=complete,
    )


def _write(out: Path, text: str) -> None:
    from pocwatch.cost.calibrate.errors import MeasurementError

    try:
        out.write_text(text)
    except OSError as error:
        raise MeasurementError(f"--out: {out} cannot be written: {error.strerror}") from None


def _show(path: Path) -> None:
    from pocwatch.cost import model

    costs = model.load(str(path))
    for name, cost in costs.costs.items():
        click.echo(f"{name:16} {cost.estimate!s:28} {cost.source.partition(':')[0]}")
    for warning in costs.warnings:
        click.echo(f"pocwatch: warning: {warning}", err=True)
