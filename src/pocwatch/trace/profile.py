"""The profile file: what the plugin counted of maintenance, by operation and call stack.

One `Header`, `n_frames` records of `records.Frame` (that of number n at n - 1; callers come before what
they call), `n_entries` of `Profiled`. The C declarations are generated from the structures here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocwatch import cdecl
from pocwatch.trace.records import Frame

MAGIC = b"PWPROFIL"
VERSION = 1


class _Record(ctypes.LittleEndianStructure):
    _pack_ = 1


class Header(_Record):
    """What a profile starts with."""

    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("n_frames", ctypes.c_uint32),
        ("n_entries", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class Profiled(_Record):
    """How often one operation was done from one call stack."""

    _fields_ = (
        ("count", ctypes.c_uint64),
        (
            "judged",
            ctypes.c_uint64,
        ),  # of these, on a line: others (by set/way, of all) are not judged
        ("redundant", ctypes.c_uint64),  # of these, changed the state of no cell of the line
        ("dirty", ctypes.c_uint64),  # of those judged, memory at the PoC may have been stale
        ("lines", ctypes.c_uint64),  # different ones
        ("stack", ctypes.c_uint32),  # number of its innermost Frame; 0: not taken
        ("op", ctypes.c_uint8),  # arch.ops.Op
        ("reserved", ctypes.c_uint8 * 3),
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """A profile as it was read."""

    frames: Sequence[Frame]
    entries: Sequence[Profiled]


def read(path: Path) -> Counts | None:
    """Return a profile; None if there is no whole one, as when the machine was killed."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def parse(data: bytes) -> Counts | None:
    """Return what a profile says; None if it is not whole."""
    try:
        header = Header.from_buffer_copy(data)
    except ValueError:
        return None
    entries_at = ctypes.sizeof(Header) + header.n_frames * ctypes.sizeof(Frame)
    end = entries_at + header.n_entries * ctypes.sizeof(Profiled)
    if (header.magic, header.version, len(data)) != (MAGIC, VERSION, end):
        return None
    return Counts(
        list((Frame * header.n_frames).from_buffer_copy(data, ctypes.sizeof(Header))),
        list((Profiled * header.n_entries).from_buffer_copy(data, entries_at)),
    )


def summed(parts: Sequence[Counts]) -> Counts:
    """Return the profile of a machine from those of the shards of its trace, which number stacks alike.

    A line is in one shard only, so that lines add up, too.
    """
    frames: Sequence[Frame] = max((part.frames for part in parts), key=len, default=())
    found: dict[tuple[int, int], Profiled] = {}
    for entry in (entry for part in parts for entry in part.entries):
        total = found.setdefault((entry.stack, entry.op), Profiled(stack=entry.stack, op=entry.op))
        for name in ("count", "judged", "redundant", "dirty", "lines"):
            setattr(total, name, getattr(total, name) + getattr(entry, name))
    return Counts(frames, [found[key] for key in sorted(found)])


def c_declarations() -> str:
    """Return the C declarations of the records, with size assertions."""
    lines = [
        f'#define PW_PROFILE_MAGIC "{MAGIC.decode()}"',
        f"#define PW_PROFILE_VERSION {VERSION}",
        *cdecl.structure("pw_profile_header", Header),
        *cdecl.structure("pw_profiled", Profiled),
    ]
    return "\n".join(lines) + "\n"
