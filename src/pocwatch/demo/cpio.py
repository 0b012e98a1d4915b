"""Archives in the `newc` format of cpio, as the kernel unpacks them into its first root.

Linux Documentation/driver-api/early-userspace/buffer-format.rst. Left out: hard links, checksums,
reading.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_END = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """A file of an archive. `mode` has the type bits, as in stat(2)."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    """Return a directory."""
    return Entry(name, stat.S_IFDIR | 0o755)


def program(name: str, data: bytes) -> Entry:
    """Return a regular file that may be executed."""
    return Entry(name, stat.S_IFREG | 0o755, data)


def regular(name: str, data: bytes) -> Entry:
    """Return a regular file."""
    return Entry(name, stat.S_IFREG | 0o644, data)


def character_device(name: str, major: int, minor: int) -> Entry:
    """Return a character device node, which needs no privilege to write into an archive."""
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _member(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (
        *(number, entry.mode, 0, 0, links, 0, len(entry.data)),
        *(0, 0, *entry.device, len(name), 0),
    )
    header = b"070701" + b"".join(b"%08X" % value for value in numbers)
    return _padded(header + name) + _padded(entry.data)


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive: owned by root, of time 0, in the given order."""
    members = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join(members) + _member(0, Entry(_END, 0))
