"""A cache folder whose entries are complete or absent.

An entry is a folder, filled under another name and renamed when it is complete, so an interrupted
run leaves nothing that looks finished. One process at a time works in the cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pocwatch.demo.errors import DemoError

Progress = Callable[[str], None]

_ASIDE = "incomplete-"


def default_dir() -> Path:
    """Return the user's cache folder for pocwatch; XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pocwatch"


@contextlib.contextmanager
def locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Keep other processes out of the cache while the block runs; make it if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise DemoError(f"cache folder '{folder}' cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another pocwatch that prepares the machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(f"{_ASIDE}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def entry(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return an entry: the one that exists, or one that `fill` makes in the folder it is given."""
    if folder.is_dir():
        return folder
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=folder.parent))
    try:
        fill(aside)
        aside.chmod(0o755)
        aside.rename(folder)
    except OSError as error:
        raise DemoError(f"cannot make '{folder}': {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def remove_others(kept: Path, pattern: str) -> None:
    """Remove the entries that match a pattern, except one."""
    for other in kept.parent.glob(pattern):
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)
