"""Builds and runs measure.c: samples as they come."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pocwatch.cost.calibrate.errors import CannotCalibrateError, MeasurementError

SMALLEST_KIB = 16
TIMES_LAST_CACHE = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """One operation on lines of one state: ns per line, 10th, 50th and 90th percentile."""

    op: str
    state: str
    bytes: int  # working set of all threads; 0 for a DSB, which has none
    threads: int
    rounds: int
    ns: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Cpu:
    """What CTR_EL0 says."""

    ctr: str
    line_bytes: int


def build(compiler: str, folder: Path, *, static: bool) -> Path:
    """Compile measure.c into `folder` and return the program.

    Raises CannotCalibrateError if there is no such compiler, MeasurementError if it fails.
    """
    words = shlex.split(compiler)
    if not words or shutil.which(words[0]) is None:
        raise CannotCalibrateError(
            f"--compiler: {compiler!r} is not installed: accepted is a C compiler for Arm64; install "
            "one (Debian: gcc) or name another"
        )
    program = folder / "measure"
    source = folder / "measure.c"
    source.write_text((resources.files(__package__) / "measure.c").read_text())
    flags = ["-O2", "-std=c11", "-pthread", *["-static"] * static]
    done = subprocess.run(
        [*words, *flags, "-o", str(program), str(source)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise MeasurementError(f"--compiler: {compiler!r} cannot build measure.c: {said.strip()}")
    return program


def run(
    command: list[str], *, last_cache_kib: int, threads: int, sample_ms: int
) -> Generator[Cpu | Sample, None, None]:
    """Yield the Cpu, then each Sample. Closing the iterator ends the program.

    Raises CannotCalibrateError if the command cannot be started, MeasurementError if the program says
    so or ends early.
    """
    words = [*command, str(TIMES_LAST_CACHE * last_cache_kib), str(threads), str(sample_ms)]
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        raise CannotCalibrateError(
            f"{command[0]!r} cannot be started: {error.strerror} (--runner names an emulator; TMPDIR is "
            "the folder that the program is built in, which must allow programs)"
        ) from None
    assert process.stdout is not None
    ended = False
    try:
        for line in process.stdout:
            record = _parsed(line)
            if record is None:
                ended = True
            else:
                yield record
    finally:
        process.stdout.close()
        if not ended:
            process.terminate()
        code = process.wait()
    if not ended:
        raise MeasurementError(f"the measuring program ended early ({_how(code)})")


def _parsed(line: str) -> Cpu | Sample | None:
    """Return what a line says; None is the end."""
    try:
        record = json.loads(line)
        kind = record.pop("kind")
        if kind == "end":
            return None
        if kind == "machine":
            return Cpu(record["ctr"], record["line_bytes"])
        if kind == "sample":
            low, typical, high = record.pop("ns")
            return Sample(**record, ns=(low, typical, high))
        what, op = record["what"], record["op"].replace("_", " ")
    except (AttributeError, KeyError, TypeError, ValueError):
        raise MeasurementError(f"the measuring program printed {line.strip()[:80]!r}") from None
    if what == "sigill":
        raise MeasurementError(
            f"EL0 may not execute {op} here (SIGILL): the kernel or hypervisor keeps SCTLR_EL1.UCI or "
            "UCT at 0; measure under one that sets them, as Linux does"
        )
    raise MeasurementError(f"the measuring program: {what}")


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
