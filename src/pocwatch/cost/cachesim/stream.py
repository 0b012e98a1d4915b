"""Recorded and live access streams: read in chunks, recorded compressed. The format is in `record`.

A stream is a file or a FIFO, plain or gzip-compressed (zlib needs no further package; at its fastest
level it takes less time than QEMU takes to make the stream).
"""

from __future__ import annotations

import ctypes
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pocwatch.cost.cachesim import record
from pocwatch.cost.cachesim.errors import CacheSimError
from pocwatch.cost.cachesim.record import Access, Header

CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_FASTEST = 1


class Reader:
    """An open stream; iterate for chunks of whole records. A context manager."""

    def __init__(self, path: Path | str) -> None:
        """Open it and check its header; waits for the writer of a FIFO. Raise CacheSimError."""
        self._path = path
        try:
            raw = io.BufferedReader(io.FileIO(path), CHUNK_BYTES)
        except OSError as error:
            raise CacheSimError(f"{path}: cannot be read ({error.strerror})") from None
        self._raw = raw
        try:
            compressed = raw.peek(len(_GZIP)).startswith(_GZIP)
            self._file: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if compressed else raw
            self.n_pes = self._header().n_pes
        except BaseException:
            raw.close()
            raise

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise CacheSimError(f"{self._path}: cannot be decompressed ({error})") from None

    def _header(self) -> Header:
        text = self._read(ctypes.sizeof(Header))
        if len(text) < ctypes.sizeof(Header) or not text.startswith(record.MAGIC):
            raise CacheSimError(f"{self._path}: is no access stream; record one with a run")
        header = Header.from_buffer_copy(text)
        expected = record.header(header.n_pes)
        if (header.version, header.record_size) != (expected.version, expected.record_size):
            raise CacheSimError(
                f"{self._path}: is an access stream of version {header.version} with records of "
                f"{header.record_size} bytes; accepted are version {expected.version} and "
                f"{expected.record_size} bytes: record it anew"
            )
        return header

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def __iter__(self) -> Iterator[bytes]:
        size = ctypes.sizeof(Access)
        rest = b""
        while chunk := self._read(CHUNK_BYTES):
            chunk = rest + chunk
            whole = len(chunk) // size * size
            rest = chunk[whole:]
            yield chunk[:whole]
        if rest:
            raise CacheSimError(f"{self._path}: ends within a record: its writer was killed")


def accesses(path: Path | str) -> Iterator[Access]:
    """Yield the records of a stream one by one: for looking at, too slow for simulating."""
    with Reader(path) as reader:
        for chunk in reader:
            yield from (Access * (len(chunk) // ctypes.sizeof(Access))).from_buffer_copy(chunk)


def write(path: Path | str, pes: int, chunks: Iterable[bytes]) -> int:
    """Write a compressed stream of whole records; return their number. Raise CacheSimError."""
    total = 0
    try:
        with gzip.open(path, "wb", compresslevel=_FASTEST) as file:
            file.write(bytes(record.header(pes)))
            for chunk in chunks:
                file.write(chunk)
                total += len(chunk)
    except OSError as error:
        raise CacheSimError(f"{path}: cannot be written ({error.strerror})") from None
    return total // ctypes.sizeof(Access)


def compress(source: Path | str, target: Path | str) -> int:
    """Record a live stream, a FIFO for instance, compressed. Return the number of records."""
    with Reader(source) as reader:
        return write(target, reader.n_pes, reader)
