"""A progress bar on standard error."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_ERASE = "\r\x1b[2K"
_EVERY_SECONDS = 0.1


class Bar:
    """Shows how much of something is done; does nothing unless it is `enabled`."""

    def __init__(self, total: int, what: str, *, enabled: bool) -> None:
        self._total, self._what, self._enabled = total, what, enabled
        self._started = time.monotonic()
        self._shown = 0.0

    def update(self, done: int) -> None:
        """Show it, at most ten times a second."""
        now = time.monotonic()
        if not self._enabled or (now - self._shown < _EVERY_SECONDS and done < self._total):
            return
        self._shown = now
        full = _WIDTH * done // max(self._total, 1)
        bar = "#" * full + "-" * (_WIDTH - full)
        seconds = now - self._started
        sys.stderr.write(f"{_ERASE}[{bar}] {done}/{self._total} {self._what}, {seconds:.0f} s")
        sys.stderr.flush()

    def clear(self) -> None:
        """Erase it."""
        if self._enabled and self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
