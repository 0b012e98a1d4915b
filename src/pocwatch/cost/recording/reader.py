"""Reads an event recording, whole, into typed happenings."""

from __future__ import annotations

import ctypes
import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocwatch.cost.recording import record
from pocwatch.cost.recording.errors import RecordingError
from pocwatch.cost.recording.happenings import Context, Happening, context_after, happening
from pocwatch.cost.recording.record import Event, EventKind, Header

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened, in order.

    `dsbs` has what a PE executed in each context, with the time at which they were last told of;
    `end` is the time of the last record. `complete`: the machine ended in order.
    """

    pes: int
    ctr: int
    clidr: int
    end: int
    complete: bool
    happenings: Sequence[Happening] = field(repr=False)
    dsbs: Sequence[tuple[int, Context, int]] = field(repr=False)

    def vms(self) -> list[int]:
        """Return the guests that were entered, by the plugin's number."""
        return sorted({h.vm for h in self.happenings if h.vm})


def _header(path: Path | str, text: bytes) -> Header:
    size = ctypes.sizeof(Header)
    if len(text) < size or not text.startswith(record.MAGIC):
        raise RecordingError(
            f"{path}: is no event recording; make one with pocwatch run --events FILE"
        )
    header = Header.from_buffer_copy(text)
    expected = record.header(header.n_pes)
    if (header.version, header.record_size) != (expected.version, expected.record_size):
        raise RecordingError(
            f"{path}: is an event recording of version {header.version} with records of "
            f"{header.record_size} bytes; accepted are version {expected.version} and "
            f"{expected.record_size} bytes: record it anew"
        )
    return header


def raw(path: Path | str) -> tuple[Header, Sequence[Event]]:
    """Return header and whole records of a file, plain or compressed by gzip. Raise RecordingError.

    A record half written, at the end, is left out.
    """
    try:
        text = Path(path).read_bytes()
        if text.startswith(_GZIP):
            text = gzip.decompress(text)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path}: cannot be read ({error})") from None
    header, start = _header(path, text), ctypes.sizeof(Header)
    n = (len(text) - start) // ctypes.sizeof(Event)
    return header, list((Event * n).from_buffer_copy(text, start))


def read(path: Path | str) -> Recording:
    """Return a recording. Raise RecordingError."""
    header, events = raw(path)
    contexts: dict[int, Context] = {}
    happenings: list[Happening] = []
    dsbs: Counter[tuple[int, Context]] = Counter()
    for number, event in enumerate(events):
        context = contexts.get(event.pe, Context.BEFORE)
        if event.dsbs:
            dsbs[event.time, context] += event.dsbs
        try:
            happened = happening(event, context)
        except (ValueError, KeyError) as error:  # of an enumeration
            raise RecordingError(
                f"{path}: record {number} is damaged ({error}); record it anew"
            ) from None
        contexts[event.pe] = context_after(happened, context)
        if happened is not None:
            happenings.append(happened)
    return Recording(
        pes=header.n_pes,
        ctr=header.ctr,
        clidr=header.clidr,
        end=max((e.time for e in events), default=0),
        complete=bool(events) and events[-1].kind == EventKind.END,
        happenings=happenings,
        dsbs=[(time, context, n) for (time, context), n in dsbs.items()],
    )
