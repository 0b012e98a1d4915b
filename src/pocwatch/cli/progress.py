"""What the status line says while a machine runs."""

from __future__ import annotations

import sys
import time

from pocwatch.sanitizer.runfile import Progress


class Counters:
    """Instructions, speed and findings, told from one moment to the next."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def text(self, progress: Progress) -> str:
        """Return the counters of now; the speed is that since the last call."""
        now = time.monotonic()
        speed = ""
        if self._last is not None and now > self._last[0]:
            executed = progress.instructions - self._last[1]
            speed = f", {executed / (now - self._last[0]) / 1e6:.1f} MIPS"
        self._last = (now, progress.instructions)
        return (
            f"pocwatch: {progress.instructions / 1e6:,.0f} M instructions{speed}, "
            f"findings: {progress.findings}"
        )


def wanted(quiet: bool, console_on_stdio: bool) -> bool:
    """Say whether to show them: not where the machine's console writes, too."""
    return not quiet and not (console_on_stdio and sys.stdout.isatty())
