"""Standard input as a file that grows: the machine looks into it and never stops for it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_CHUNK = 1 << 16


def spool(folder: Path, source: int = 0) -> None:
    """Copy a file descriptor into `stdin`, from a thread; make `stdin.end` when it ends."""
    target = (folder / "stdin").open("wb", buffering=0)

    def copy() -> None:
        try:
            while data := os.read(source, _CHUNK):
                target.write(data)
        except OSError:
            pass  # closed: that is its end
        try:
            target.close()
            (folder / "stdin.end").touch()
        except OSError:
            pass  # the run is over, and its folder gone

    threading.Thread(target=copy, daemon=True, name="stdin").start()
