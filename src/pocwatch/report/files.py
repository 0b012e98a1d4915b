"""Files that a report is written to: refused before a long run, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pocwatch.sanitizer.errors import MachineError, UsageError


def check_writable(option: str, path: Path) -> None:
    """Raise UsageError, before a long run, when the report could not be put there."""
    directory = path.parent
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a directory; give the name of a file")
    if not directory.is_dir():
        raise UsageError(f"{option} {path}: there is no directory {directory}; make it first")
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{option} {path}: the directory {directory} cannot be written")


def write(option: str, path: Path, text: str) -> None:
    """Write the text whole or not at all. Raise MachineError when the disk does not take it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise MachineError(
            f"{option} {path}: the report could not be written ({error.strerror}); "
            "the text report is still printed"
        ) from None
