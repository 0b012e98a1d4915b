"""`pocwatch record`: a machine that runs, and the trace that is kept of it."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.platforms import Platform, PlatformError, definition
from pocwatch.sanitizer import arguments, launch
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.recording import filters
from pocwatch.sanitizer.recording.names import LiveNames
from pocwatch.sanitizer.recording.pump import Pump
from pocwatch.sanitizer.runfile import Progress
from pocwatch.trace.errors import RecordingError
from pocwatch.trace.info import Info, Machine
from pocwatch.trace.raw import Header
from pocwatch.trace.writer import Writer

AUTO = "auto"
_NAMED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asks of a recording. No platforms: all that ship with pocwatch, and `auto`."""

    command: Sequence[str]
    out: Path
    platforms: Sequence[str] = ()
    symbols: Sequence[str] = ()
    keep: Path | None = None
    stacks: int = arguments.STACKS

    def words(self) -> list[str]:
        """Return the command line that asks for this recording again."""
        said = ["pocwatch", "record", "-o", str(self.out)]
        said += ["--platform", ",".join(self.platforms)] if self.platforms else []
        said += [word for each in self.symbols for word in ("--symbols", each)]
        said += ["--stacks", str(self.stacks)] if self.stacks != arguments.STACKS else []
        return [*said, "--", *self.command]


@dataclass(frozen=True, slots=True)
class Plan:
    """A recording that was checked and can start."""

    options: Options
    launch: launch.Plan
    platforms: Sequence[Platform]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded: rows and bytes of the trace; `report` says how the machine ended."""

    report: Report
    rows: int
    size: int


def plan(options: Options) -> Plan:
    """Check everything that can be checked before the machine starts. Raise RunError."""
    from pocwatch.line.filter import FilterError

    _check_writable(options.out)
    asked = list(dict.fromkeys(options.platforms or (*platforms.names(), AUTO)))
    first = AUTO if AUTO in asked else asked[0]
    planned = launch.plan(
        launch.Options(
            options.command,
            platform=first,
            symbols=options.symbols,
            keep=options.keep,
            stacks=options.stacks,
        )
    )
    known = [planned.platform if name == first else _load(name) for name in asked]
    _check_names(known)
    try:
        planned = replace(planned, filter=filters.binary(known))
    except FilterError as error:
        raise UsageError(f"--platform: {error}") from None
    return Plan(options, planned, known)


def _load(name: str) -> Platform:
    try:
        return platforms.load(name)
    except PlatformError as error:
        raise UsageError(f"--platform: {error}, or {AUTO}") from None


def _check_names(known: Sequence[Platform]) -> None:
    names = [platform.name for platform in known]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"--platform: two platforms are called {name}: `pocwatch replay` could not tell them "
                "apart; rename the file of one"
            )


def _check_writable(out: Path) -> None:
    directory = out.parent
    if out.is_dir() or (out.exists() and not out.is_file()):
        raise UsageError(f"-o {out}: is no regular file; give the name of one (a trace is one file)")
    if not directory.is_dir():
        raise UsageError(f"-o {out}: there is no directory {directory}; make it first")
    if not os.access(out if out.exists() else directory, os.W_OK):
        raise UsageError(f"-o {out}: cannot be written")


def run(
    plan: Plan, say: Callable[[str], None], progress: Callable[[Progress, int], None]
) -> Recorded:
    """Run the machine and record it; `progress` gets counters and the bytes of the trace.

    Raises MachineError when the machine does not start or the trace cannot be written; what there is
    then stays, valid up to the last checkpoint.
    """
    recording = _Recording(plan)
    with Pump(recording.begin) as pump:
        options = replace(plan.launch.options, trace=pump.path)
        machine = replace(plan.launch, options=options)

        def show(now: Progress) -> None:
            progress(now, recording.size)

        report = launch.run(machine, say, show, recording.prepared)
    try:
        pump.check()
        recording.end(report, ended=pump.ended)
    except RecordingError as error:
        recording.fall_back()
        raise MachineError(f"-o {plan.options.out}: {error}") from None
    except OSError as error:
        recording.fall_back()
        raise MachineError(_not_written(plan.options.out, recording, error)) from None
    finally:
        recording.close()
    return Recorded(report, recording.rows, recording.size)


class _Recording:
    """The trace's file and writer; made when the plugin starts to write."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ram = Path()
        self._names: LiveNames | None = None
        self._writer: Writer | None = None
        self._file: IO[bytes] | None = None
        self._named_until = 0.0

    @property
    def rows(self) -> int:
        return self._writer.rows if self._writer else 0

    @property
    def size(self) -> int:
        return self._writer.size if self._writer else 0

    def prepared(self, ram: Path) -> None:
        """Take the file with guest RAM: it is there from now on, and gone after the run."""
        self._ram = ram

    def begin(self, header: Header) -> Callable[[Any], None]:
        """Start the trace; return what takes its records."""
        machine = self._plan.launch.machine
        self._names = LiveNames(
            self._plan.launch.locator.programs, self._ram, machine.ram_base, machine.ram_size
        )
        # Both stay open until `close`.
        self._file = self._plan.options.out.open("wb")
        self._writer = Writer(self._file, self._info(header), self._names)
        return self._add

    def _add(self, records: Any) -> None:
        assert self._writer is not None
        self._writer.add(records, self._with_symbols_sometimes)

    def _with_symbols_sometimes(self, info: Info) -> Info:
        """Looking for all symbols takes as long as writing rows: a trace cut short may lack the last."""
        if time.monotonic() < self._named_until:
            return info
        self._named_until = time.monotonic() + _NAMED_SECONDS
        return self._with_symbols(info)

    def _with_symbols(self, info: Info) -> Info:
        assert self._names is not None
        return replace(info, extra={**info.extra, "programs": self._names.packed()})

    def end(self, report: Report, *, ended: bool) -> None:
        """Write the last footer."""
        if self._writer is None:
            return
        interrupted = report.failure is not None and not report.machine_failed
        failure = report.failure or (None if ended else "the plugin's stream was cut off")
        info = self._with_symbols(self._writer.info)
        self._writer.close(
            replace(
                info,
                complete=failure is None,
                failure=failure,
                counters={
                    "instructions": report.instructions,
                    "accesses": report.accesses,
                    "fetches": report.fetches,
                    "walks": report.walks,
                    "maintenance": report.maintenance,
                },
                extra={**info.extra, "interrupted": interrupted},
            )
        )

    def fall_back(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.fall_back()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _info(self, header: Header) -> Info:
        plan = self._plan
        return Info(
            command=plan.options.words(),
            qemu=plan.launch.qemu.version,
            platforms=[{"name": p.name, **definition.table(p)} for p in plan.platforms],
            machine=Machine(
                pes=plan.launch.machine.pes,
                ram_base=header.ram_base,
                ram_size=header.ram_size,
                midr=header.midr,
                ctr=header.ctr,
                clidr=header.clidr,
            ),
            ops={int(op): op.spelling for op in Op},
            kinds=[kind.name.lower() for kind in Kind],
            extra={"warnings": list(plan.launch.warnings)},
        )


def _not_written(out: Path, recording: _Recording, error: OSError) -> str:
    """Return the line on a trace that the disk did not take."""
    reason = error.strerror or str(error)
    hint = " (make room, or record on another file system)" if error.errno == errno.ENOSPC else ""
    left = f"the {recording.rows:,} rows up to the last checkpoint" if recording.rows else "nothing"
    return f"-o {out}: {reason}{hint}; the machine was stopped; {left} can be replayed"
