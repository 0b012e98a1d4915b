"""Footers of a Parquet file that is valid again and again while it grows.

A generation is written by pyarrow into memory, as a Parquet file of its own; its column chunks go to
the end of the trace, its row groups, moved to there, into every later footer. A checkpoint is a footer
for all generations so far; what comes later does not overwrite it. So a file that is cut anywhere is
valid up to the last checkpoint before the cut.

Before each footer stand `MARK`, its length and its CRC-32, which other readers pass over: a footer has
no checksum in Parquet. The bytes of each row group are checked the same way, before any decoder sees
them (`Group.crc32`, in the footer's metadata).
Parquet format, "File format" and parquet.thrift.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.trace import thrift
from pocwatch.trace.thrift import BINARY, I64, LIST, STRUCT, Struct

MAGIC = b"PAR1"
MARK = b"PWCHECKP"
_SEAL = struct.Struct("<8sII")  # MARK, length of the footer, its CRC-32
_TAIL = struct.Struct("<I4s")

# Field numbers of parquet.thrift.
_FILE_ROWS, _FILE_GROUPS, _FILE_KEYS = 3, 4, 5
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META, _CHUNK_INDEX, _CHUNK_COLUMN_INDEX = 2, 3, 4, 6
_META_SIZE, _META_DATA, _META_DICTIONARY = 7, 9, 11
_META_OFFSETS = (9, 10, 11, 14)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A row group, moved to its place in the trace: its bytes' place and sum, and its thrift."""

    rows: int
    offset: int
    size: int
    crc32: int
    thrift: bytes


def split(data: bytes) -> tuple[memoryview, Struct]:
    """Return the column chunks and the footer of a Parquet file in memory."""
    length, _ = _TAIL.unpack(data[-_TAIL.size :])
    end = len(data) - _TAIL.size - length
    return memoryview(data)[len(MAGIC) : end], thrift.parse(data[end : -_TAIL.size])


def moved(body: memoryview, footer: Struct, to: int) -> list[Chunk]:
    """Return the row groups of `split`'s footer as they are when the body lies at offset `to`."""
    step = to - len(MAGIC)
    chunks = []
    for group in footer[_FILE_GROUPS][1][1]:
        starts, size = [], 0
        for column in group[_GROUP_COLUMNS][1][1]:
            meta = column[_CHUNK_META][1]
            dictionary = meta.get(_META_DICTIONARY, meta[_META_DATA])[1]
            starts.append(min(dictionary or meta[_META_DATA][1], meta[_META_DATA][1]))
            size += meta[_META_SIZE][1]
            for number in _META_OFFSETS:
                _move(meta, number, step)
            for number in (_CHUNK_OFFSET, _CHUNK_INDEX, _CHUNK_COLUMN_INDEX):
                _move(column, number, step)
        _move(group, _GROUP_OFFSET, step)
        group.pop(_GROUP_ORDINAL, None)  # 16 bits; optional
        first = min(starts) - len(MAGIC)
        crc = zlib.crc32(body[first : first + size])
        rows = group[_GROUP_ROWS][1]
        chunks.append(Chunk(rows, to + first, size, crc, thrift.write(group)))
    return chunks


def _move(fields: Struct, number: int, step: int) -> None:
    kind, value = fields.get(number, (0, 0))
    if value:
        fields[number] = (kind, value + step)


def sealed(template: Struct, groups: Sequence[bytes], rows: int, keys: dict[str, bytes]) -> bytes:
    """Return a footer with its seal before and its length and magic behind.

    `template`: the footer of a file with this schema; `groups`: the thrift of every row group.
    """
    pairs = [{1: (BINARY, name.encode()), 2: (BINARY, value)} for name, value in keys.items()]
    before = {n: f for n, f in template.items() if n < _FILE_ROWS} | {_FILE_ROWS: (I64, rows)}
    after = {n: f for n, f in template.items() if n > _FILE_KEYS}
    # One struct from three: its ends are zero bytes, and fields are numbered by steps.
    head = thrift.write(before)[:-1]
    listed = bytes([1 << 4 | LIST]) + thrift.list_head(STRUCT, len(groups)) + b"".join(groups)
    tail = thrift.write({_FILE_KEYS: (LIST, (STRUCT, pairs)), **after})
    tail = bytes([1 << 4 | LIST]) + tail[1:]  # field 5 comes after 4, not after 0
    footer = head + listed + tail
    seal = _SEAL.pack(MARK, len(footer), zlib.crc32(footer))
    return seal + footer + _TAIL.pack(len(footer), MAGIC)


def last_valid(data: bytes | mmap.mmap) -> int | None:
    """Return where the last sealed footer that is whole ends in `data`, None if there is none."""
    end = len(data)
    while (at := data.rfind(MAGIC, 0, end)) >= _TAIL.size:
        length = int.from_bytes(data[at - 4 : at], "little")
        start = at - 4 - length
        if start >= len(MAGIC) + _SEAL.size:
            mark, said, crc = _SEAL.unpack(data[start - _SEAL.size : start])
            if mark == MARK and said == length and zlib.crc32(data[start : at - 4]) == crc:
                return at + len(MAGIC)
        end = at + len(MAGIC) - 1  # the next one ends before
    return None
