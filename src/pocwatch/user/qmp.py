"""A few words of QEMU's machine protocol: saving a machine, and going on where it was saved.

QEMU docs/interop/qmp-spec.rst. RAM is a file that is kept or copied by itself, so that the saved state is
without it: the capability `x-ignore-shared`, which both sides must be told of.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from pocwatch.sanitizer.errors import MachineError

_SECONDS = 120.0
_POLL_SECONDS = 0.02


class Monitor:
    """A connection to QEMU; a context manager."""

    def __init__(self, path: Path) -> None:
        """Connect. Raise OSError when QEMU does not listen."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._stream = self._socket.makefile("rw")
        self._stream.readline()  # the greeting
        self.ask("qmp_capabilities")
        self.ask(
            "migrate-set-capabilities",
            capabilities=[{"capability": "x-ignore-shared", "state": True}],
        )

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def ask(self, command: str, **given: Any) -> Any:
        """Return the answer to a command. Raise MachineError."""
        self._stream.write(json.dumps({"execute": command, "arguments": given}) + "\n")
        self._stream.flush()
        for line in self._stream:
            answer = json.loads(line)
            if "error" in answer:
                raise MachineError(f"QEMU's {command} failed: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
        raise MachineError(f"QEMU ended at {command}")


def save(path: Path, state: Path) -> None:
    """Write a machine's state but its RAM to a file, and end it. Raise MachineError."""
    with Monitor(path) as monitor:
        monitor.ask("migrate", uri=f"file:{state}")
        while (status := monitor.ask("query-migrate")).get("status") != "completed":
            if status.get("status") == "failed":
                reason = status.get("error-desc", "it gave no reason")
                raise MachineError(f"the machine could not be saved: {reason}")
            time.sleep(_POLL_SECONDS)
        monitor.ask("quit")


def start_incoming(path: Path, state: Path) -> None:
    """Give a saved state to the QEMU that will listen at a socket, from a thread.

    If that fails QEMU is told to end, if it is there: the run then says that it ended.
    """

    def wait() -> None:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            try:
                with Monitor(path) as monitor:
                    try:
                        monitor.ask("migrate-incoming", uri=f"file:{state}")
                    except MachineError:
                        monitor.ask("quit")
                return
            except OSError:
                time.sleep(_POLL_SECONDS)
            except (MachineError, ValueError):
                return

    threading.Thread(target=wait, daemon=True, name="incoming").start()
