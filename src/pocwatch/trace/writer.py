"""Writes a trace: generations of rows, a checkpoint after each, the whole footer at the end."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

from pocwatch.trace import footer, schema
from pocwatch.trace import info as infos
from pocwatch.trace.encode import Encoder, Names
from pocwatch.trace.info import Group, Info

# A footer lists all row groups so far. So that footers do not outgrow the rows, there is none before
# this many times the last footer's bytes came behind it.
_ROWS_PER_FOOTER = 8


class Writer:
    """A trace that is being written to a file, which is valid after every checkpoint.

    Not closed, the trace says of itself that it is not complete. `info` may be replaced at any time.
    """

    def __init__(self, file: BinaryIO, info: Info, names: Names) -> None:
        """`file` is empty. Raise OSError when the disk does not take it, here and later."""
        self.info = info
        self.rows = 0
        self._file = file
        self._encoder = Encoder(names, info.ops, info.kinds)
        self._groups: list[Group] = []
        self._thrift: list[bytes] = []
        self._generation = 0
        self._at = self._valid = 0
        self._footer_bytes = self._valid_rows = 0
        self._template: Any = None
        self._put(footer.MAGIC)
        self._template = footer.split(_parquet([]))[1]
        self.checkpoint()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._at

    def add(self, records: Any, update: Callable[[Info], Info] = lambda info: info) -> None:
        """Write a generation of raw records (`encode.TRACED`); `update` the info if there is a footer."""
        parts = list(self._encoder.tables(records))
        if not parts:
            return
        body, template = footer.split(_parquet([part.table for part in parts]))
        for part, chunk in zip(parts, footer.moved(body, template, self._at), strict=True):
            self._groups.append(
                Group(
                    generation=self._generation,
                    shard=part.shard,
                    rows=chunk.rows,
                    offset=chunk.offset,
                    size=chunk.size,
                    crc32=chunk.crc32,
                    seq=part.seq,
                    line=part.line,
                )
            )
            self._thrift.append(chunk.thrift)
            self.rows += chunk.rows
        self._put(body)
        self._generation += 1
        if self._at - self._valid >= _ROWS_PER_FOOTER * self._footer_bytes:
            self.info = update(self.info)
            self.checkpoint()

    def checkpoint(self) -> None:
        """Make the file valid as it is."""
        keys = {schema.KEY: infos.dump(self.info, self._groups)}
        sealed = footer.sealed(self._template, self._thrift, self.rows, keys)
        self._put(sealed)
        self._file.flush()
        self._valid, self._footer_bytes, self._valid_rows = self._at, len(sealed), self.rows

    def close(self, info: Info) -> None:
        """Write the last footer. The file is the caller's to close."""
        self.info = info
        self.checkpoint()

    def fall_back(self) -> None:
        """After an OSError: cut the file to the last checkpoint."""
        self.rows = self._valid_rows
        self._file.truncate(self._valid)

    def _put(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._at += len(data)


def _parquet(tables: list[Any]) -> bytes:
    """Return a Parquet file in memory with a row group for each table."""
    import pyarrow.parquet as pq

    memory = io.BytesIO()
    with pq.ParquetWriter(memory, schema.arrow(), **schema.encodings()) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=len(table))
    return memory.getvalue()
