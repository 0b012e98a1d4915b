"""Lines of source around an instruction, where DWARF names the file and the file can be read."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path

from pocwatch.sanitizer.symbols.lines import SourceLine

AROUND = 3
_LARGEST = 4 << 20  # bytes: sources are smaller, and a name in DWARF may be anything

Excerpt = list[tuple[int, str]]  # line numbers from 1, and the lines
Read = Callable[[SourceLine], Excerpt]


class Sources:
    """Reads each file once. Looked for where it was compiled, then below the current directory."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def around(self, place: SourceLine) -> Excerpt:
        """Return the line and its neighbours; empty if the file cannot be read or is shorter."""
        lines = self._lines(posixpath.join(place.build, place.file)) or self._lines(place.file)
        if place.line > len(lines):
            return []
        first = max(place.line - AROUND, 1)
        shown = lines[first - 1 : place.line + AROUND]
        return list(enumerate(shown, first))

    def _lines(self, name: str) -> list[str]:
        if name not in self._files:
            self._files[name] = _read(Path(name))
        return self._files[name]


def _read(path: Path) -> list[str]:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):  # a name with a NUL is a ValueError
        return []
