"""Results kept in a file, one JSON line each, so that an interrupted sweep goes on where it stopped.

A key is made of everything that the result depends on. A last line that was cut off is dropped.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pocwatch.cost.sweep.errors import SweepError

Json = dict[str, Any]


def key(inputs: Json) -> str:
    """Return a short name for what a result depends on."""
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Kept:
    """Results by key, in memory and, if there is a file, in it as soon as they are known."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what is there. Raises SweepError for a file that is something else."""
        self.results: dict[str, Any] = {}
        self._path = path
        self._file = None
        if path is None:
            return
        try:
            end = self._read(path) if path.exists() else 0
            self._file = path.open("r+b" if path.exists() else "wb")
            self._file.seek(end)
            self._file.truncate()
        except OSError as error:
            raise SweepError(f"--resume: {path} cannot be used: {error.strerror}") from None

    def _read(self, path: Path) -> int:
        """Take over all whole lines; return where they end."""
        end = 0
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                self.results[entry["key"]] = entry["result"]
            except (ValueError, KeyError, TypeError):
                raise SweepError(
                    f"--resume: {path}:{number} is no kept result: accepted are files that --resume wrote"
                ) from None
            end += len(line)
        return end

    def add(self, name: str, result: Any) -> None:
        """Keep a result."""
        self.results[name] = result
        if self._file is not None:
            self._file.write(json.dumps({"key": name, "result": result}).encode() + b"\n")
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
