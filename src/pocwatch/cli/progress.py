"""The live line on standard error while a machine runs."""

from __future__ import annotations

import sys
import time

from pocwatch.sanitizer.runfile import Progress

_ERASE = "\r\x1b[2K"


class LiveLine:
    """Shows instructions, speed and findings; does nothing unless it is `enabled`."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._last: tuple[float, int] | None = None
        self._shown = False

    def update(self, progress: Progress) -> None:
        """Show the counters of now."""
        now = time.monotonic()
        if self._enabled:
            speed = ""
            if self._last is not None and now > self._last[0]:
                executed = progress.instructions - self._last[1]
                speed = f", {executed / (now - self._last[0]) / 1e6:.1f} MIPS"
            sys.stderr.write(
                f"{_ERASE}pocwatch: {progress.instructions / 1e6:,.0f} M instructions{speed}, "
                f"findings: {progress.findings}"
            )
            sys.stderr.flush()
            self._shown = True
        self._last = (now, progress.instructions)

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._shown = False


def wanted(quiet: bool, console_on_stdio: bool) -> bool:
    """Say whether to show the line: on a terminal that the machine's console does not write to."""
    return not quiet and sys.stderr.isatty() and not (console_on_stdio and sys.stdout.isatty())
