"""Folders and files of this computer as an archive for the machine's root.

Left out: ownership (all is root's), times (all are of 2000), hard links, devices and sockets.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pocwatch.demo import cpio
from pocwatch.sanitizer.errors import UsageError

# What no program needs to run: half of what some packages hold.
_UNUSED = frozenset(
    {"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"}
)
_MIB = 1 << 20


def entry(path: Path, name: str) -> cpio.Entry | None:
    """Return a file, folder or symbolic link under another name; None for any other thing."""
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return cpio.Entry(name, stat.S_IFLNK | 0o777, os.readlink(path).encode())
    if stat.S_ISDIR(status.st_mode):
        return cpio.Entry(name, stat.S_IFDIR | mode)
    if stat.S_ISREG(status.st_mode):
        return cpio.Entry(name, stat.S_IFREG | mode, path.read_bytes())
    return None


def tree(folder: Path, below: str = "", limit_bytes: int | None = None) -> Iterator[cpio.Entry]:
    """Yield everything in a folder, parents first. Raise UsageError when it is more than allowed."""
    size = 0
    for current, folders, files in os.walk(folder):
        here = Path(current)
        inside = here.relative_to(folder).as_posix()
        folders[:] = sorted(
            name
            for name in folders
            if (PurePosixPath(inside) / name).as_posix() not in _UNUSED or below
        )
        for name in (*folders, *sorted(files)):
            path = here / name
            said = (PurePosixPath(below) / inside / name).as_posix()
            try:
                size += path.lstat().st_size
                if limit_bytes is not None and size > limit_bytes:
                    raise UsageError(
                        f"{folder}: holds more than {limit_bytes // _MIB} MiB, which would all be "
                        "packed for the machine; name a smaller folder with --workdir, or none with "
                        "--workdir none"
                    )
                found = entry(path, said)
            except OSError as error:
                raise UsageError(f"{path}: cannot be packed ({error.strerror})") from None
            if found is not None:
                yield found


def parents(name: str) -> Iterator[cpio.Entry]:
    """Yield the folders above a file."""
    for folder in reversed(PurePosixPath(name).parents):
        if folder.as_posix() != ".":
            yield cpio.directory(folder.as_posix())


def files(placed: Mapping[str, Path]) -> Iterator[cpio.Entry]:
    """Yield files of this computer by their absolute names in the machine. Raise UsageError."""
    for name, path in placed.items():
        try:
            found = entry(path.resolve(), name.lstrip("/"))
        except OSError as error:
            raise UsageError(f"{path}: cannot be packed ({error.strerror})") from None
        if found is not None:
            yield from parents(name.lstrip("/"))
            yield found
