"""Running QEMU as a child that keeps the user's terminal, and outliving its death."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pocwatch.sanitizer.errors import MachineError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.5
_BRIEF_POLL_SECONDS = 0.002
_GRACE_SECONDS = 5.0
_PATIENCE = 3  # this many signals, and QEMU is killed


@dataclass(frozen=True, slots=True)
class Ended:
    """How QEMU ended; `interrupted`: after a signal to pocwatch, which it passed on."""

    code: int
    interrupted: bool
    overdue_seconds: float | None = None  # it was ended because it had not after these

    @property
    def failure(self) -> str | None:
        """What went wrong, None for a regular end."""
        if self.overdue_seconds is not None:
            return f"QEMU did not end in {self.overdue_seconds:g} s"
        if self.code == 0:
            return None
        if self.code > 0:
            return f"QEMU exited with code {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return f"QEMU was killed by {name}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How long QEMU may run. `ends_it`: that is the regular end, for software that has none."""

    seconds: float
    ends_it: bool = False


@contextlib.contextmanager
def _terminal_restored() -> Iterator[None]:
    """Put the terminal back as it was: a killed QEMU leaves it raw."""
    try:
        saved = termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):  # not a terminal, or closed
        yield
        return
    try:
        yield
    finally:
        previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, saved)
        signal.signal(signal.SIGTTOU, previous)


@contextlib.contextmanager
def _signals_to(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which alone may ask for them
        yield
        return
    saved = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in saved.items():
            signal.signal(number, old)


def run(
    command: Sequence[str], tick: Callable[[], None], limit: Limit | None = None
) -> Ended:
    """Run QEMU to its end, calling `tick` twice a second. Raise MachineError if it cannot start."""
    end = None if limit is None else time.monotonic() + limit.seconds
    overdue = False
    process: subprocess.Popen[bytes] | None = None
    received: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if process is not None and process.poll() is None:
            process.send_signal(number if len(received) < _PATIENCE else signal.SIGKILL)

    with _terminal_restored(), _signals_to(forward):
        try:
            process = subprocess.Popen(command)
        except OSError as error:
            raise MachineError(f"{command[0]}: cannot be run ({error.strerror})") from None
        if received:
            process.send_signal(received[-1])
        while True:
            try:
                left = _POLL_SECONDS if end is None else end - time.monotonic()
                code = process.wait(timeout=max(0.0, min(_POLL_SECONDS, left)))
                break
            except subprocess.TimeoutExpired:
                tick()
            if end is not None and time.monotonic() >= end:
                # at the next limit it does not listen
                process.send_signal(signal.SIGKILL if overdue else signal.SIGTERM)
                overdue, end = True, time.monotonic() + _GRACE_SECONDS
        # a machine that dies of the signal it was sent ended as the user wanted
        asked = bool(received) and -code in received
        if overdue and limit is not None and code in (0, -signal.SIGTERM, -signal.SIGKILL):
            return Ended(0, bool(received), None if limit.ends_it else limit.seconds)
        return Ended(0 if asked else code, bool(received))


def run_until(command: Sequence[str], done: Callable[[], bool], seconds: float) -> None:
    """Run QEMU without a terminal until `done`, then kill it.

    Raise MachineError, with the first line of what it said, if it ends or takes longer; and
    KeyboardInterrupt, after it is gone, for any signal that asks to end.
    """
    received: list[int] = []
    with (
        tempfile.TemporaryFile() as said,
        _signals_to(lambda number, _: received.append(number)),
    ):
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
            )
        except OSError as error:
            raise MachineError(f"{command[0]}: cannot be run ({error.strerror})") from None
        try:
            end = time.monotonic() + seconds
            while not done() and process.poll() is None and not received:
                if time.monotonic() > end:
                    raise MachineError(f"no answer in {seconds:g} s")
                time.sleep(_BRIEF_POLL_SECONDS)
            ended = process.poll()
        finally:
            process.kill()
            process.wait()
        if received:
            raise KeyboardInterrupt
        if ended is not None and not done():
            said.seek(0)
            first = said.read().decode("utf-8", "replace").strip().split("\n")[0]
            raise MachineError(first or Ended(ended, False).failure or "QEMU ended")
