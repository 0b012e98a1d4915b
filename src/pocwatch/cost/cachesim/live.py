"""A stream that is used while it is made: a FIFO for the machine to write, its reader in a thread.

with Live(lambda fifo: simulate(fifo, platform)) as live:
    launch.run(launch.plan(Options(command, stream=live.path)), say)
counts = live.result()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
_RETRY_S = 0.02


class Live(Generic[T]):
    """A FIFO and what `use` makes of its stream. A context manager around the machine's run.

    When `use` raises, the machine's writes fail, which ends the machine.
    """

    def __init__(self, use: Callable[[Path], T]) -> None:
        self._use = use
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="pocwatch-stream-"))
        self.path = self._folder / "accesses"
        self._thread = threading.Thread(target=self._run, name="pocwatch-stream", daemon=True)

    def _run(self) -> None:
        try:
            self._results.append(self._use(self.path))
        except BaseException as error:  # handed to result()
            self._error = error

    def __enter__(self) -> Live[T]:
        os.mkfifo(self.path)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._thread.is_alive():
            self._release()
            self._thread.join(_RETRY_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _release(self) -> None:
        """Let a reader go that still waits for a writer: the machine never started."""
        with contextlib.suppress(OSError):  # it is not there yet, or has read all
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))

    def result(self) -> T:
        """Return what `use` returned, or raise what it raised. To be called after the `with`."""
        if self._error is not None:
            raise self._error
        return self._results[0]
