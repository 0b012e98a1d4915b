"""Reads a trace, also one that was cut short or damaged: what is readable is used, the rest is listed.

    with Trace(path) as trace:
        for line in trace.damage: ...
        table = trace.window(1_000_000, 50)        # rows in the order in which they happened
        for table in trace.line(0x4008_1000): ...  # what happened to one line

Rows are read by row group, when they are asked for. Everything is an Arrow table (`.to_pylist()`,
`.to_pandas()`).
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocwatch.trace import arrow, footer, schema
from pocwatch.trace import info as infos
from pocwatch.trace.errors import TraceError
from pocwatch.trace.info import Group, Info

_KEPT = 2  # generations in memory, for those who scroll


class Trace:
    """An open trace; a context manager. Raises TraceError for what is none, or nothing is left of.

    `damage`: what cannot be read, one line each. It is known when the trace is open: every byte was
    summed.
    """

    def __init__(self, path: Path) -> None:
        arrow.require()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        self._map = _mapped(path)
        end = footer.last_valid(self._map)
        if end is None:
            self._map.close()
            raise TraceError(_no_trace(path))
        self._buffer = pa.py_buffer(self._map)[:end]
        text = [c.name for c in schema.COLUMNS if c.type == "text"]
        try:
            self._parquet = pq.ParquetFile(pa.BufferReader(self._buffer), read_dictionary=text)
            keys = self._parquet.metadata.metadata or {}
            self.info: Info
            self.info, self.groups = infos.load(keys.get(schema.KEY.encode(), b""), str(path))
        except (OSError, pa.ArrowException) as error:
            raise TraceError(f"{path}: its footer cannot be read ({_first_line(error)})") from None
        self.damage: list[str] = _missing(self.info, len(self._map) - end, self.groups)
        self._bad = {i for i, group in enumerate(self.groups) if not self._whole(group)}
        self.damage += [self._described(self.groups[i]) for i in sorted(self._bad)]
        self._kept: dict[tuple[int, tuple[str, ...]], Any] = {}

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Tables that were handed out stay."""
        self._kept.clear()
        self._parquet.close()

    @property
    def rows(self) -> int:
        """How many rows can be read."""
        return sum(group.rows for _, group in self.readable())

    @property
    def generations(self) -> int:
        """How many generations there are; each is a stretch of time."""
        return 1 + max((group.generation for group in self.groups), default=-1)

    def readable(self) -> Iterator[tuple[int, Group]]:
        """Yield the number and description of every row group that is whole."""
        return ((i, g) for i, g in enumerate(self.groups) if i not in self._bad)

    def table(self, number: int, columns: Sequence[str] | None = None) -> Any:
        """Return the rows of a row group, sorted by line, then by time."""
        import pyarrow as pa

        try:
            return self._parquet.read_row_group(number, columns and list(columns))
        except (OSError, pa.ArrowException) as error:  # sums were right: another version's file
            raise TraceError(
                f"{self.path}: row group {number} cannot be read ({_first_line(error)})"
            ) from None

    def shard(self, generation: int, shard: int | None) -> Any | None:
        """Return the rows of a shard in a generation, None when there are none or they are damaged."""
        for number, group in self.readable():
            if (group.generation, group.shard) == (generation, shard):
                return self.table(number)
        return None

    def in_order(self, generation: int, columns: Sequence[str] | None = None) -> Any:
        """Return all rows of a generation in the order in which they happened."""
        import pyarrow as pa

        wanted = tuple(columns or schema.NAMES)
        kept = self._kept.pop((generation, wanted), None)
        if kept is None:
            numbers = [i for i, g in self.readable() if g.generation == generation]
            asked = list(dict.fromkeys([*wanted, "seq"]))
            parts = [self.table(i, asked) for i in numbers]
            empty = schema.arrow().empty_table().select(asked)
            table = pa.concat_tables([t.unify_dictionaries() for t in parts] or [empty])
            table = table.combine_chunks()
            kept = table.take(_stable_order(table["seq"])).select(wanted)
        self._kept[generation, wanted] = kept
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    def window(self, start: int, count: int, columns: Sequence[str] | None = None) -> Any:
        """Return `count` rows from the `start`-th on, in the order in which they happened."""
        import pyarrow as pa

        parts, before = [self.in_order(-1, columns)], 0
        sizes = [0] * self.generations
        for _, group in self.readable():
            sizes[group.generation] += group.rows
        for generation, size in enumerate(sizes):
            first, last = max(start - before, 0), min(start + count - before, size)
            if first < last:
                parts.append(self.in_order(generation, columns).slice(first, last - first))
            before += size
        return pa.concat_tables(parts)

    def line(self, pa: int, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield tables of what happened to the line of an address, in order; what is of no line is not
        in them."""
        import pyarrow.compute as pc

        line = pa & -schema.LINE_BYTES
        asked = None if columns is None else list(dict.fromkeys([*columns, "line"]))
        for number, group in self.readable():
            if group.shard == schema.shard_of(line) and group.line[0] <= line <= group.line[1]:
                table = self.table(number, asked)
                found = table.filter(pc.equal(table["line"], line))
                if len(found):
                    yield found if columns is None else found.select(list(columns))

    def _whole(self, group: Group) -> bool:
        part = memoryview(self._buffer)[group.offset : group.offset + group.size]
        return len(part) == group.size and zlib.crc32(part) == group.crc32

    def _described(self, group: Group) -> str:
        what = "of no line (barriers)" if group.shard is None else f"of shard {group.shard}"
        return (
            f"{self.path}: the {group.rows:,} rows {what} in generation {group.generation} (seq "
            f"{group.seq[0]:,} to {group.seq[1]:,}) are damaged and left out"
        )


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise TraceError(f"{path}: is empty; `pocwatch record -o {path}` makes a trace") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror})") from None


def _no_trace(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(len(footer.MAGIC)) == footer.MAGIC:
            return f"{path}: nothing can be read: it was cut before its first checkpoint, or is no trace"
    return f"{path}: is no trace; `pocwatch record -o FILE` makes one (Parquet)"


def _missing(info: Info, behind: int, groups: Sequence[Group]) -> list[str]:
    """Return lines on what there was, and is not in the footer that was found."""
    last = max((group.seq[1] for group in groups), default=0)
    if behind:
        return [
            f"the trace was cut or damaged behind its last whole checkpoint: {behind:,} bytes there "
            f"cannot be read; what came after seq {last:,} is missing"
        ]
    if not info.complete:
        why = info.failure or "the recording did not end in order"
        return [f"the recording is not complete: {why}; it ends with seq {last:,}"]
    return []


def _stable_order(seq: Any) -> Any:
    import numpy as np

    return np.argsort(seq.to_numpy(), kind="stable")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
