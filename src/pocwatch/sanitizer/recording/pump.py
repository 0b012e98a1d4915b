"""From the plugin's FIFO into a trace: one thread reads, one writes.

The machine waits for the reader only when the writer is several blocks behind. When the writer fails,
the reader goes: the plugin's next write fails, and that ends the machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import queue
import select
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from pocwatch.trace import raw, schema
from pocwatch.trace.errors import RecordingError
from pocwatch.trace.raw import Header, Traced

_BLOCKS = 4  # generations that may wait for the writer
_PIPE_BYTES = 1 << 20  # what Linux lets anybody have (pipe-max-size)
_IDLE_SECONDS = 1.0
_GENERATION_SECONDS = 30.0
_RETRY_SECONDS = 0.02

Write = Callable[[Any], None]


class Pump:
    """A FIFO and what becomes of the raw trace in it; a context manager around the machine's run.

    `begin` gets the header before anything else and returns what takes generations of records.
    """

    def __init__(self, begin: Callable[[Header], Write]) -> None:
        self._begin = begin
        self._folder = Path(tempfile.mkdtemp(prefix="pocwatch-trace-"))
        self.path = self._folder / "raw"
        self.records = 0
        self.ended = False
        self._error: BaseException | None = None
        self._blocks: queue.Queue[Any] = queue.Queue(_BLOCKS)
        self._gone = threading.Event()
        self._threads = [
            threading.Thread(target=each, name=f"pocwatch-{each.__name__}", daemon=True)
            for each in (self._read, self._write)
        ]

    def __enter__(self) -> Pump:
        os.mkfifo(self.path)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._threads[0].is_alive():
            with contextlib.suppress(OSError):  # a reader that still waits for a machine
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            self._threads[0].join(_RETRY_SECONDS)
        self._threads[1].join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def check(self) -> None:
        """After the machine: raise what went wrong, OSError or RecordingError."""
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            with self.path.open("rb", buffering=0) as file:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(file.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                head = _exactly(file, ctypes.sizeof(Header))
                if len(head) == ctypes.sizeof(Header):  # else no machine came
                    self._put(head)
                    self._read_records(file)
        finally:
            self._put(None)

    def _read_records(self, file: Any) -> None:
        """Read generations straight into the memory that they are encoded from."""
        import numpy as np

        size = ctypes.sizeof(Traced)
        left, data = b"", True
        while data and not self._gone.is_set():
            block: Any = np.empty(schema.GENERATION_ROWS * size, np.uint8)
            view, used = memoryview(block), len(left)
            view[:used] = left
            since = time.monotonic()
            while used < len(view) and not self._gone.is_set():
                if select.select([file], [], [], _IDLE_SECONDS)[0]:
                    count = file.readinto(view[used:])
                    if not count:
                        data = False
                        break
                    used += count
                if used >= size and time.monotonic() - since > _GENERATION_SECONDS:
                    break
            whole = used - used % size
            left = bytes(view[whole:used])  # at the end: a record that was cut off goes
            if whole:
                self._put(block[:whole])

    def _put(self, block: Any) -> None:
        while not self._gone.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(block, timeout=_IDLE_SECONDS)
                return

    def _write(self) -> None:
        try:
            head = self._blocks.get()
            if head is not None:
                self._write_records(self._begin(_header(head)))
        except BaseException as error:
            self._error = error
        finally:
            self._gone.set()

    def _write_records(self, write: Write) -> None:
        from pocwatch.trace.encode import TRACED

        while (block := self._blocks.get()) is not None:
            records = block.view(TRACED)
            self.records += len(records)
            self.ended = int(records["op"][-1]) == raw.Mark.END
            write(records)


def _exactly(file: Any, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _header(data: bytes) -> Header:
    header = Header.from_buffer_copy(data)
    said = (header.magic, header.version, header.record_size)
    if said != (raw.MAGIC, raw.VERSION, ctypes.sizeof(Traced)):
        raise RecordingError(
            f"the plugin writes another raw trace (version {header.version}, records of "
            f"{header.record_size} bytes) than this package reads ({raw.VERSION}, "
            f"{ctypes.sizeof(Traced)}): they are of different versions; install pocwatch again"
        )
    return header
