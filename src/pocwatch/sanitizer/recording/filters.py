"""The filter of a set of platforms, kept: making one takes two seconds, as long as a short boot.

In the user's cache folder, by everything that it depends on: the platforms and the code that makes it.
A file there that is damaged, or a folder that cannot be written, costs the time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pocwatch.platforms import Platform, definition

_KEPT = 8
_SUM_BYTES = 4


def binary(platforms: Sequence[Platform], folder: Path | None = None) -> bytes:
    """Return the filter file of some platforms. Raises line.filter.FilterError."""
    from pocwatch.line import filter as filters

    path = (folder or default_folder()) / f"{_key(platforms)}.filter"
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        body = data[_SUM_BYTES:]
        if data[:_SUM_BYTES] == zlib.crc32(body).to_bytes(_SUM_BYTES, "little"):
            path.touch()
            return body
    body = filters.binary(platforms)
    with contextlib.suppress(OSError):
        _keep(path, zlib.crc32(body).to_bytes(_SUM_BYTES, "little") + body)
    return body


def default_folder() -> Path:
    """Return where filters are kept; XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pocwatch" / "filters"


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
    oldest_first = sorted(path.parent.glob("*.filter"), key=lambda each: each.stat().st_mtime)
    for old in oldest_first[:-_KEPT]:
        old.unlink(missing_ok=True)


def _key(platforms: Sequence[Platform]) -> str:
    summed = hashlib.sha256(json.dumps([definition.table(p) for p in platforms]).encode())
    for package in ("arch", "line", "platforms"):
        for file in sorted(resources.files(f"pocwatch.{package}").iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py"):
                summed.update(file.read_bytes())
    return summed.hexdigest()[:32]
