"""Where guest RAM and the demonstration's machine are put: room, speed, permission."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from pocwatch.demo import cache
from pocwatch.doctor.record import Check, State
from pocwatch.sanitizer import runfile, workspace
from pocwatch.sanitizer.errors import RunError

_RAM_BYTES = 512 << 20  # guest RAM of the demonstration, and of the examples in the documentation
_SPEED_BYTES = 64 << 20
_WHY_ROOM = "`pocwatch run` and `demo`: guest RAM is a file there, in shared memory if it fits"
_WHY_MEMORY = "`pocwatch run` and `demo`: shadow of guest RAM, for what the software touches"
_WHY_CACHE = "`pocwatch demo`: its kernel is kept there between runs (--cache names another folder)"
# docs/performance.md, "MiB more per GiB touched", the larger of the two, rounded up.
MIB_PER_GIB_TOUCHED = 3800
_ENOUGH = "1G"


def checks() -> list[Check]:
    """Look at the workspace of runs, at memory, and at the cache folder."""
    return [_room(), *_memory(), _cache()]


def _room() -> Check:
    need = runfile.file_size(runfile.MAX_FINDINGS) + _RAM_BYTES
    remount = f"mount -o remount,size={_ENOUGH} {workspace.SHARED_MEMORY}"
    cure = remount if os.geteuid() == 0 else f"sudo {remount}"
    try:
        place = workspace.place_for(need)
        speed = _speed(place)
    except RunError as error:
        return Check("workspace", State.MISSING, str(error), _WHY_ROOM, cure)
    except OSError as error:
        said = f"{place}: cannot be written ({error.strerror})"
        return Check("workspace", State.MISSING, said, _WHY_ROOM, f"export TMPDIR={Path.home()}")
    found = f"{place}: {workspace.free(place) >> 20:,} MiB free, written at {speed:,.0f} MiB/s"
    if place != workspace.SHARED_MEMORY:
        less = f"{found}; {workspace.SHARED_MEMORY} has too little room for {_RAM_BYTES >> 20} MiB"
        return Check("workspace", State.OPTIONAL, f"{less}: slower", _WHY_ROOM, cure)
    return Check("workspace", State.WORKS, found, _WHY_ROOM)


def _speed(place: Path) -> float:
    """Return MiB/s of a fresh file that is written once."""
    block = bytes(1 << 20)
    with tempfile.TemporaryFile(prefix="pocwatch-", dir=place) as file:
        start = time.monotonic()
        for _ in range(_SPEED_BYTES >> 20):
            file.write(block)
        file.flush()
        return (_SPEED_BYTES >> 20) / max(time.monotonic() - start, 1e-6)


def _memory() -> list[Check]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return []
    fields = dict(line.split(":", 1) for line in lines)
    mib = int(fields["MemAvailable"].split()[0]) >> 10
    fits = mib / (MIB_PER_GIB_TOUCHED + 1024)
    found = (
        f"{mib:,} MiB available: enough for software that touches {fits:.1f} GiB of guest RAM "
        f"(about {MIB_PER_GIB_TOUCHED:,} MiB for each, besides itself)"
    )
    return [Check("memory", State.WORKS, found, _WHY_MEMORY)]


def _cache() -> Check:
    folder = cache.default_dir()
    place = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK) or _refuses(place):
        found = f"{folder}: {place} cannot be written"
        cure = f"export XDG_CACHE_HOME={tempfile.gettempdir()}"
        return Check("cache folder", State.OPTIONAL, found, _WHY_CACHE, cure)
    kept = sum(1 for _ in folder.glob("*/")) if folder.is_dir() else 0
    holds = "holds a machine" if kept else "empty, filled by the first demo"
    found = f"{folder}: {holds}, {workspace.free(place) >> 20:,} MiB free"
    return Check("cache folder", State.WORKS, found, _WHY_CACHE)


def _refuses(place: Path) -> bool:
    """Try it: root may write to any folder by its permissions, but not to every file system."""
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return True
    return False
