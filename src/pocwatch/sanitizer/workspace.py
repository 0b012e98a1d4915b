"""The private directory of one run: run file, guest RAM, table and rules. Removed at the end.

In shared memory where that is large enough, since guest RAM is a file there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from pocwatch.sanitizer.errors import MachineError

SHARED_MEMORY = Path("/dev/shm")
_PREFIX = "pocwatch-"
_LOCK = "lock"


def free(directory: Path) -> int:
    """Return how many bytes may be written there."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize if os.access(directory, os.W_OK) else 0


def place_for(size_bytes: int) -> Path:
    """Return where that many bytes fit. Raise MachineError when they fit nowhere."""
    fallback = Path(tempfile.gettempdir())
    for directory in (SHARED_MEMORY, fallback):
        if free(directory) >= size_bytes:
            return directory
    raise MachineError(
        f"guest RAM and the run file need {size_bytes >> 20} MiB; {SHARED_MEMORY} has "
        f"{free(SHARED_MEMORY) >> 20} MiB free and {fallback} {free(fallback) >> 20} MiB: "
        "give the machine less memory (-m), or set TMPDIR to a larger file system"
    )


def _remove_abandoned(directory: Path) -> None:
    """Remove directories of runs that were killed: nobody holds their lock."""
    for old in directory.glob(f"{_PREFIX}*"):
        try:
            if old.stat().st_uid != os.getuid():
                continue
            with (old / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue  # in use, or just being made


class Workspace:
    """A private directory; a context manager."""

    def __init__(self, size_bytes: int) -> None:
        """Make it where `size_bytes` fit. Raise MachineError when they fit nowhere."""
        parent = place_for(size_bytes)
        _remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = (self.path / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)
