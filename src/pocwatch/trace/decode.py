"""From the rows of a trace back to raw records, for the judge.

Instructions and stack frames get new numbers, from 1 without gaps, in the order of their first use among
what is decoded: a shard alone uses few of them. All else is as it was (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pocwatch.trace import raw, schema
from pocwatch.trace.encode import FLAGS, TRACED, WHO_SITE, read_why, words_of
from pocwatch.trace.raw import NO_ADDRESS, Mark

_U64 = np.uint64
_NONE = _U64(NO_ADDRESS)
_CONTENT = slice(raw.CONTENT_AT // 8, None)  # words


class Decoder:
    """Makes raw records of tables, one generation after the other."""

    def __init__(self, ops: Mapping[int, str], kinds: Sequence[str]) -> None:
        self._ops = {**{op: n for n, op in ops.items()}, **{m: n for n, m in schema.MARKS.items()}}
        self._kinds = {kind: n for n, kind in enumerate(kinds)}
        self._sites = _Numbers()
        self._frames = _Numbers()

    def records(self, tables: Sequence[Any]) -> Any:
        """Return the records of a generation's tables, in order, each mark before its first use."""
        parts = [self._table(table) for table in tables]
        if not parts:
            return np.zeros(0, TRACED)
        rows, code = (np.concatenate(each) for each in zip(*parts, strict=True))
        frame = rows["op"] == Mark.STACK
        frames, rows, code = rows[frame], rows[~frame], code[~frame]
        order = np.argsort(_times(rows), kind="stable")
        rows, code = rows[order], code[order]
        content = np.flatnonzero(rows["op"] == Mark.CONTENT)
        lines = words_of(rows)[content, _CONTENT]
        words_of(rows)[content, _CONTENT] = 0  # no numbers to be given anew
        writer = rows["op"] == Mark.WRITER
        number = np.where(writer, rows["writer"] & WHO_SITE, rows["site"])
        new, first = self._sites.new(number)
        sites = _marks(Mark.SITE, len(new))
        sites["site"] = self._sites.of(new)
        sites["va"], sites["pa"] = code["pc"][first], code["pc_pa"][first]
        sites["ipa"], sites["el"] = code["insn"][first], code["el"][first]
        renumbered = self._sites.of(number)
        rows["site"] = np.where(writer, 0, renumbered)
        rows["writer"] = np.where(writer, rows["writer"] & ~np.uint32(WHO_SITE) | renumbered, 0)
        self._frames.new(frames["stack"])
        frames["stack"] = self._frames.of(frames["stack"])
        frames["writer"] = self._frames.of(frames["writer"])
        rows["stack"] = self._frames.of(rows["stack"])
        words_of(rows)[content, _CONTENT] = lines
        return np.concatenate([sites, frames, rows])

    def _table(self, table: Any) -> tuple[Any, Any]:
        """Return raw records of a table with numbers as recorded, and the code of each."""
        text = {c.name for c in schema.COLUMNS if c.type == "text"}
        get = {
            name: _text(table[name]) if name in text else _numbers(table[name])
            for name in schema.NAMES
            if name not in ("symbol", "stack", "line", "value")
        }
        n = len(table)
        rows = np.zeros(n, TRACED)
        for name in ("seq", "instructions", "size", "vm_id", "s1_mair", "el"):
            rows[name] = get[name][0]
        for name in ("pa", "va", "ipa", "fetch_ipa"):
            rows[name] = np.where(get[name][1], _NONE, get[name][0])
        rows["s2_attr"] = np.where(get["s2_attr"][1], 0xFF, get["s2_attr"][0])
        for name, column in (("site", "site"), ("stack", "stack_id"), ("writer", "writer")):
            rows[name] = np.where(get[column][1], 0, get[column][0])
        rows["op"] = _look_up(get["op"], self._ops.__getitem__)
        rows["kind"] = _look_up(get["kind"], self._kinds.__getitem__)
        rows["pe"] = _look_up(get["agent"], lambda agent: int(agent[1:]))
        rows["why"] = _look_up(get["why"], read_why)
        for name, flag in FLAGS.items():
            rows["flags"] |= np.where(get[name][0], np.uint8(flag), np.uint8(0))
        code: Any = np.zeros(n, [("pc", "u8"), ("pc_pa", "u8"), ("insn", "u4"), ("el", "u1")])
        code["pc"], code["pc_pa"] = (np.where(get[c][1], _NONE, get[c][0]) for c in ("pc", "pc_pa"))
        code["insn"], code["el"] = np.where(get["insn"][1], 0, get["insn"][0]), rows["el"]
        rows["flags"] |= get["link"][0].astype(np.uint8)
        frame, content, writer = (rows["op"] == m for m in (Mark.STACK, Mark.CONTENT, Mark.WRITER))
        rows["va"] = np.where(frame, code["pc"], rows["va"])
        rows["pa"] = np.where(frame, code["pc_pa"], rows["pa"])
        rows["instructions"] = np.where(frame | content | writer, 0, rows["instructions"])
        for name in ("kind", "pe", "flags", "el"):  # of a `writer`, told by the number
            rows[name] = np.where(writer, 0, rows[name])
        words_of(rows)[content, _CONTENT] = _lines(table["value"])
        return rows, code


def _times(rows: Any) -> Any:
    """Return when rows come: their `seq`; of those without, that of the line's next row.

    What RAM held at first may have been told late, and then says nothing of what came before.
    """
    seq = rows["seq"]
    positions = np.arange(len(rows))
    timed = np.where(seq > 0, positions, len(rows) - 1)
    following = np.minimum.accumulate(timed[::-1])[::-1]
    line = rows["pa"] // schema.LINE_BYTES
    return np.where((seq == 0) & (line[following] == line), seq[following], seq)


class _Numbers:
    """New numbers for old ones, from 1; 0 stays 0."""

    def __init__(self) -> None:
        self._new: Any = np.zeros(1024, np.uint32)
        self._next = 1

    def new(self, old: Any) -> tuple[Any, Any]:
        """Number those that have none yet; return them and the position where each is first."""
        size = int(old.max(initial=0)) + 1
        if size > len(self._new):
            grown: Any = np.zeros(max(size, 2 * len(self._new)), np.uint32)
            grown[: len(self._new)] = self._new
            self._new = grown
        positions = np.flatnonzero((self._new[old] == 0) & (old != 0))
        _, first = np.unique(old[positions], return_index=True)
        first = positions[np.sort(first)]
        found = old[first]
        self._new[found] = np.arange(self._next, self._next + len(found), dtype=np.uint32)
        self._next += len(found)
        return found, first

    def of(self, old: Any) -> Any:
        """Return the new numbers; 0 for those that were never seen."""
        return self._new[np.where(old < len(self._new), old, 0)]


def _marks(mark: Mark, count: int) -> Any:
    rows = np.zeros(count, TRACED)
    rows["op"] = mark
    rows["fetch_ipa"] = NO_ADDRESS
    return rows


def _numbers(column: Any) -> tuple[Any, Any]:
    """Return a column's values, 0 for null, and where it is null."""
    import pyarrow.compute as pc

    column = column.combine_chunks()
    absent = column.is_null().to_numpy(zero_copy_only=False)
    if column.null_count:
        column = pc.fill_null(column, 0)
    return column.to_numpy(zero_copy_only=False), absent


def _lines(column: Any) -> Any:
    """Return the lines that are not null, as rows of words."""
    import pyarrow as pa

    lines = column.combine_chunks().drop_null().cast(pa.binary(raw.LINE_BYTES))
    data: Any = np.frombuffer(lines.buffers()[1] or b"", np.uint64)
    return data.reshape(-1, raw.LINE_BYTES // 8)[lines.offset : lines.offset + len(lines)]


def _text(column: Any) -> tuple[Any, list[str]]:
    """Return the indices of a dictionary-encoded column and the values."""
    column = column.unify_dictionaries().combine_chunks()
    return column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()


def _look_up(column: tuple[Any, list[str]], number: Any) -> Any:
    """Return the number of each value of a text column."""
    indices, values = column
    return np.array([number(value) for value in values] or [0], np.uint32)[indices]
