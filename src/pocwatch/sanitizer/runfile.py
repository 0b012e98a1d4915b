"""The run file on the launcher's side: made here, mapped, read while QEMU runs and after."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from pathlib import Path

from pocwatch.trace.records import MAGIC, VERSION, Finding, Frame, RunHeader

MAX_FINDINGS = 4096
_FRAMES_PER_FINDING = 16  # of its stacks, many of which have callers in common


def file_size(max_findings: int) -> int:
    """Return the size in bytes of a run file with that many finding slots."""
    frames = max_findings * _FRAMES_PER_FINDING * ctypes.sizeof(Frame)
    return ctypes.sizeof(RunHeader) + max_findings * ctypes.sizeof(Finding) + frames


def create(
    path: Path, ram_base: int, ram_size: int, pes: int, max_findings: int = MAX_FINDINGS
) -> None:
    """Make an empty run file."""
    header = RunHeader(
        magic=MAGIC,
        version=VERSION,
        header_size=ctypes.sizeof(RunHeader),
        finding_size=ctypes.sizeof(Finding),
        max_findings=max_findings,
        max_frames=max_findings * _FRAMES_PER_FINDING,
        n_pes=pes,
        ram_base=ram_base,
        ram_size=ram_size,
    )
    with path.open("wb") as file:
        file.write(bytes(header))
        file.truncate(file_size(max_findings))


@dataclass(frozen=True, slots=True)
class Progress:
    """Counters of a moment."""

    instructions: int
    findings: int


class RunFile:
    """A mapped run file; a context manager. Records handed out are copies."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> RunFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    def header(self) -> RunHeader:
        """Return the header as it is now."""
        return RunHeader.from_buffer_copy(self._map)

    def progress(self) -> Progress:
        """Return what the live line shows."""
        header = self.header()
        return Progress(sum(header.instructions), header.n_findings)

    def findings(self) -> list[Finding]:
        """Return every filled slot, oldest first; one half written when QEMU died is left out."""
        header = self.header()
        start, size = ctypes.sizeof(RunHeader), ctypes.sizeof(Finding)
        slots = min(header.n_findings, (len(self._map) - start) // size)
        found = [Finding.from_buffer_copy(self._map, start + i * size) for i in range(slots)]
        return [finding for finding in found if finding.count]

    def frames(self) -> list[Frame]:
        """Return every frame of a stack; that of number n at n - 1."""
        header = self.header()
        start = ctypes.sizeof(RunHeader) + header.max_findings * ctypes.sizeof(Finding)
        size = ctypes.sizeof(Frame)
        slots = min(header.n_frames, (len(self._map) - start) // size)
        return [Frame.from_buffer_copy(self._map, start + i * size) for i in range(slots)]
