"""What is shown on a terminal only: colours, and the one line that is written over.

The only place that knows what a terminal is: NO_COLOR (https://no-color.org), `TERM=dumb`, and output
that goes elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

_ERASE = "\r\x1b[2K"
_BAR_CHARACTERS = 30

WHEN = ("auto", "always", "never")


def understands_escapes(stream: TextIO) -> bool:
    """Say whether escape sequences written there reach a terminal that acts on them."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(when: str = "auto") -> bool:
    """Say whether to colour standard output; what the user says on the command line wins."""
    if when == "auto":
        return understands_escapes(sys.stdout) and not os.environ.get("NO_COLOR")
    return when == "always"


class StatusLine:
    """One line on standard error, for what is not final; does nothing unless it is `enabled`."""

    def __init__(self, *, enabled: bool, every_seconds: float = 0.0) -> None:
        """Show nothing yet; later at most one text each `every_seconds`, but any that is `last`."""
        self._enabled = enabled and understands_escapes(sys.stderr)
        self._every_seconds = every_seconds
        self._shown: float | None = None  # when; None: the line is empty

    def say(self, text: str, *, last: bool = False) -> None:
        """Write over what is there."""
        now = time.monotonic()
        recent = self._shown is not None and now - self._shown < self._every_seconds
        if self._enabled and (last or not recent):
            self._shown = now
            sys.stderr.write(f"{_ERASE}{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line."""
        if self._shown is not None:
            self._shown = None
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def bar(done: int, total: int) -> str:
    """Return how much is done as a bar with numbers."""
    full = _BAR_CHARACTERS * done // max(total, 1)
    return f"[{'#' * full}{'-' * (_BAR_CHARACTERS - full)}] {done}/{total}"
