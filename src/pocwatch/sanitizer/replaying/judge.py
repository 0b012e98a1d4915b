"""The plugin's judge without QEMU: a shard of a trace, on one platform after the other.

The same compiled code that judges a machine as it runs (`plugin/replay.h`), loaded as a library. It has
one state for the whole process: a lock lets one shard in at a time, processes run side by side.
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocwatch.sanitizer import launch, runfile
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.trace.decode import Decoder
from pocwatch.trace.info import Machine
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import Finding, Frame, RunHeader

_ERROR_BYTES = 256
# Of a shard's records this many are kept in memory while platform follows platform (640 MB); more are
# decoded anew for each.
_KEPT_RECORDS = 8_000_000
_library: ctypes.CDLL | None = None
_lock = threading.Lock()


class Config(ctypes.Structure):
    """`struct pw_config` of plugin/judge.h."""

    _fields_ = (
        ("run_path", ctypes.c_char_p),
        ("ram_path", ctypes.c_char_p),
        ("ram_base", ctypes.c_uint64),
        ("ram_size", ctypes.c_uint64),
        ("table_path", ctypes.c_char_p),
        ("rules_path", ctypes.c_char_p),
        ("report_unsynced", ctypes.c_bool),
        ("track_redundant", ctypes.c_bool),
        ("keep_stale", ctypes.c_bool),
        ("start_on", ctypes.c_uint),
        ("shard", ctypes.c_bool),
    )


@dataclass(frozen=True, slots=True)
class Task:
    """A shard of a trace, to be judged on platforms: their tables, one for each; `rules`: the text of a
    rules file; `profile`: count maintenance, too. The first shard counts what is of no line."""

    trace: str
    shard: int
    tables: tuple[bytes, ...]
    rules: str
    profile: bool = False

    @property
    def first(self) -> bool:
        """Whether it is the first shard."""
        return self.shard == 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What a shard gave on a platform: the run file, without empty slots, and the profile file, if one
    was asked for."""

    run: bytes
    profile: bytes | None = None


def judged(task: Task) -> list[Judged]:
    """Judge the shard on each platform."""
    with _lock, Trace(Path(task.trace)) as trace:
        shard = _Shard(trace, task.shard)
        return [_judged(task, table, shard, trace.info.machine) for table in task.tables]


def left_by(task: Task, table: bytes, records: Sequence[Any], machine: Machine) -> Left:
    """Return what judging these records, generation by generation, leaves on one platform."""
    with _lock:
        return Left.of(_judged(task, table, records, machine).run)


@dataclass(frozen=True, slots=True)
class Left:
    """What judging left in a run file."""

    header: RunHeader
    findings: Sequence[Finding]
    frames: Sequence[Frame]

    def packed(self) -> bytes:
        """Return a run file without empty slots."""
        head = RunHeader.from_buffer_copy(self.header)
        head.n_findings = head.max_findings = len(self.findings)
        head.n_frames = head.max_frames = len(self.frames)
        return b"".join(map(bytes, (head, *self.findings, *self.frames)))

    @classmethod
    def of(cls, run: bytes) -> Left:
        """Return what is in a run file."""
        head = RunHeader.from_buffer_copy(run)
        at, size = ctypes.sizeof(head), ctypes.sizeof(Finding)
        findings = [Finding.from_buffer_copy(run, at + i * size) for i in range(head.n_findings)]
        at, size = at + head.max_findings * size, ctypes.sizeof(Frame)
        frames = [Frame.from_buffer_copy(run, at + i * size) for i in range(head.n_frames)]
        return cls(head, findings, frames)


def merged(parts: Sequence[bytes]) -> Left:
    """Return what judging a whole machine would have left, from the run files of its shards."""
    heads = [RunHeader.from_buffer_copy(part) for part in parts]
    head = RunHeader(
        **{name: getattr(heads[0], name) for name in ("magic", "version", "header_size")},
        finding_size=ctypes.sizeof(Finding),
        max_findings=sum(each.n_findings for each in heads),
        max_frames=sum(each.n_frames for each in heads),
        n_pes=heads[0].n_pes,
    )
    size = ctypes.sizeof(Finding) * head.max_findings + ctypes.sizeof(Frame) * head.max_frames
    into = ctypes.create_string_buffer(bytes(head) + bytes(size), ctypes.sizeof(head) + size)
    with _lock:
        library = _load()
        for part in parts:
            library.pw_report_merge(into, part)
    return Left.of(into.raw)


class _Shard:
    """The raw records of a shard, generation by generation; decoded once if they are few enough."""

    def __init__(self, trace: Trace, number: int) -> None:
        self._trace = trace
        self._number = number
        self._kept: list[Any] | None = None
        rows = sum(g.rows for _, g in trace.readable() if g.shard in (number, None))
        if rows <= _KEPT_RECORDS:
            self._kept = list(self._decoded())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept) if self._kept is not None else self._decoded()

    def _decoded(self) -> Iterator[Any]:
        trace = self._trace
        decoder = Decoder(trace.info.ops, trace.info.kinds)
        for generation in range(trace.generations):
            tables = [trace.shard(generation, which) for which in (self._number, None)]
            yield decoder.records([table for table in tables if table is not None])


def _judged(task: Task, table: bytes, shard: Iterable[Any], machine: Machine) -> Judged:
    library = _load()
    with tempfile.TemporaryDirectory(prefix="pocwatch-replay-") as name:
        folder = Path(name)
        run = folder / "run"
        try:
            runfile.create(run, machine.ram_base, machine.ram_size, machine.pes)
            (folder / "table").write_bytes(table)
            (folder / "rules").write_text(task.rules, encoding="ascii")
        except OSError as error:
            raise MachineError(f"{folder}: cannot prepare the replay ({error.strerror})") from None
        config = Config(
            run_path=bytes(run),
            ram_path=None,
            ram_base=machine.ram_base,
            ram_size=machine.ram_size,
            table_path=bytes(folder / "table"),
            rules_path=bytes(folder / "rules"),
            shard=not task.first,
        )
        reason = ctypes.create_string_buffer(_ERROR_BYTES)
        if not library.pw_replay_open(ctypes.byref(config), reason, _ERROR_BYTES):
            raise UsageError(f"{task.trace}: {reason.value.decode('utf-8', 'replace')}")
        counts = folder / "profile"
        if task.profile:
            library.pw_profile_open(bytes(counts))
        for records in shard:
            library.pw_replay(ctypes.c_void_p(records.ctypes.data), ctypes.c_uint64(len(records)))
        if not library.pw_profile_close():
            raise MachineError(f"{folder}: the profile could not be written")
        with runfile.RunFile(run) as record:
            left = Left(record.header(), record.findings(), record.frames()).packed()
        return Judged(left, counts.read_bytes() if task.profile else None)


def _load() -> ctypes.CDLL:
    """Return the plugin as a library. Raise MachineError."""
    global _library
    if _library is None:
        path = launch.plugin_path()
        try:
            library = ctypes.CDLL(str(path))
            library.pw_replay_open.restype = library.pw_profile_close.restype = ctypes.c_bool
            library.pw_replay.restype = library.pw_report_merge.restype = None
            library.pw_profile_open.restype = None
        except (OSError, AttributeError) as error:
            raise MachineError(
                f"{path}: cannot judge a trace ({error}); it is of another version: install pocwatch "
                "again, or build it anew"
            ) from None
        _library = library
    return _library
