"""Rows of a trace by address: what is read is one row group at a time, and the last few are kept.

A row's address is its row group and its number in there. Lists keep addresses (8 bytes a row, and only
of what is open), never rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pocwatch.trace import schema
from pocwatch.trace.info import Group, Info

# What the viewer looks at; `index` columns find rows, the others are read of those that are shown.
INDEX = ("seq", "op", "line", "site")
SHOWN = (
    *("seq", "op", "agent", "kind", "line", "pa", "va", "ipa", "size", "el", "vm_id", "vm", "mmu"),
    *("dropped", "weakened", "upgraded", "why", "pc", "insn", "symbol", "stack"),
)
MARKS = frozenset(schema.MARKS.values())  # rows that others refer to; nothing that happened
_KEPT_ROWS = 1 << 21  # of shown columns in memory, about 100 bytes each

Addresses = Any  # a NumPy array of (row group << 32 | row), in the order in which they happened


class Trace(Protocol):
    """What is used of `trace.reader.Trace`."""

    info: Info
    damage: list[str]

    def readable(self) -> Iterator[tuple[int, Group]]: ...

    def table(self, number: int, columns: Sequence[str] | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a trace that is shown. Fields as in `trace.schema`."""

    address: int
    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]


class Store:
    """A trace with the tables of the last row groups that were asked for. Any thread may ask."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.groups: dict[int, Group] = dict(trace.readable())
        self.rows = sum(group.rows for group in self.groups.values())
        self.generations: list[list[int]] = [
            [] for _ in range(1 + max((g.generation for g in self.groups.values()), default=-1))
        ]
        for number, group in self.groups.items():
            self.generations[group.generation].append(number)
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def column(self, number: int, *names: str) -> list[Any]:
        """Return columns of a row group as NumPy arrays; null is 0; text is codes and their words."""
        with self._lock:
            table = self.trace.table(number, names)
        return [_array(table[name]) for name in names]

    def events(self, addresses: Sequence[int]) -> list[Event]:
        """Return rows, a few: those of a screen."""
        found: list[Event] = []
        for address in map(int, addresses):
            table = self._table(address >> 32)
            row = address & 0xFFFF_FFFF
            fields = {name: table[name][row].as_py() for name in SHOWN}
            found.append(Event(address, fields))
        return found

    def _table(self, number: int) -> Any:
        with self._lock:
            table = self._kept.pop(number, None)
            if table is None:
                table = self.trace.table(number, SHOWN).combine_chunks()
            self._kept[number] = table
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_ROWS:
                self._kept.popitem(last=False)
            return table


def happened(op: tuple[Any, list[str]]) -> Any:
    """Return which rows of a row group are something that happened, as a mask."""
    codes, words = op
    wanted = np.array([word not in MARKS for word in words], bool)
    return wanted[codes] if len(words) else np.zeros(len(codes), bool)


def addresses(number: int, rows: Any) -> Addresses:
    """Return the addresses of rows of a row group."""
    return np.uint64(number << 32) | rows.astype(np.uint64)


def in_time(found: Addresses, seq: Any) -> Addresses:
    """Return addresses sorted by time."""
    return found[np.argsort(seq, kind="stable")]


def _array(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        whole = column.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.unify_dictionaries().combine_chunks()
        codes = whole.indices.fill_null(len(whole.dictionary)).to_numpy(zero_copy_only=False)
        return codes, [*whole.dictionary.to_pylist(), ""]
    return column.fill_null(0).to_numpy() if column.null_count else column.to_numpy()
