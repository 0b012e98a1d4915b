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
        ("judged", ctypes.c_uint64),  # of these, on a line: others (by set/way, of all) are not judged
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
        data = path.read_bytes()
        header = Header.from_buffer_copy(data)
    except (OSError, ValueError):
        return None
    entries_at = ctypes.sizeof(Header) + header.n_frames * ctypes.sizeof(Frame)
    end = entries_at + header.n_entries * ctypes.sizeof(Profiled)
    if (header.magic, header.version, len(data)) != (MAGIC, VERSION, end):
        return None
    return Counts(
        list((Frame * header.n_frames).from_buffer_copy(data, ctypes.sizeof(Header))),
        list((Profiled * header.n_entries).from_buffer_copy(data, entries_at)),
    )


def c_declarations() -> str:
    """Return the C declarations of the records, with size assertions."""
    lines = [
        f'#define PW_PROFILE_MAGIC "{MAGIC.decode()}"',
        f"#define PW_PROFILE_VERSION {VERSION}",
        *cdecl.structure("pw_profile_header", Header),
        *cdecl.structure("pw_profiled", Profiled),
    ]
    return "\n".join(lines) + "\n"
