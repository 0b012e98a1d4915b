"""Threads of a trace, by line or by call site, found one generation after the other.

The row groups of a generation hold its lines in order (`trace.schema`), so the threads of a row group
are runs: their starts and lengths are all that is kept. Threads are listed in the order in which they
begin: what a later generation adds comes behind, and the list can be shown while it grows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pocwatch.tui import trace_store
from pocwatch.tui.trace_store import Addresses, Store

NO_LINE = 0  # key of what is of no line: barriers, set/way operations


class By(enum.Enum):
    """What the events of a thread have in common; the value is a column."""

    LINE = "line"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class _Runs:
    """Per row group and key: how many events, when and where the first."""

    key: Any
    count: Any
    first: Any  # seq
    address: Any  # of the first
    group: Any


def _by_time(parts: list[_Runs]) -> _Runs:
    """Return the runs of a generation as one, in the order in which they begin."""
    joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Runs)}
    order = np.argsort(joined["first"], kind="stable")
    return _Runs(**{name: values[order] for name, values in joined.items()})


class Index:
    """Threads by key, in the order in which they begin."""

    def __init__(self, store: Store, by: By) -> None:
        self.store, self.by = store, by
        self.done = 0  # generations
        self._runs: list[_Runs] = []
        nothing: Any = np.zeros(0, np.uint64)
        self.keys = self.counts = self.addresses = nothing

    @property
    def complete(self) -> bool:
        """Whether every generation is in it."""
        return self.done == len(self.store.generations)

    @property
    def share(self) -> float:
        """How much of the trace is in it, from 0 to 1."""
        return self.done / max(1, len(self.store.generations))

    def __len__(self) -> int:
        return len(self.keys)

    def grow(self) -> bool:
        """Take in the next generation; return whether there are more."""
        if self.complete:
            return False
        self._runs.append(_by_time([self._runs_of(n) for n in self.store.generations[self.done]]))
        self.done += 1
        # Joining costs as much as there is, so it is not done after each of many generations.
        if self.complete or self.done & (self.done - 1) == 0:
            self._join()
        return not self.complete

    def _runs_of(self, number: int) -> _Runs:
        seq, op, key = self.store.column(number, "seq", "op", self.by.value)
        rows = np.flatnonzero(trace_store.happened(op))
        key, seq = key[rows].astype(np.uint64), seq[rows]
        if self.by is By.SITE:  # a row group is in the order of lines
            order = np.lexsort((seq, key))
            rows, key, seq = rows[order], key[order], seq[order]
        starts = np.flatnonzero(np.diff(key, prepend=~key[:1])) if len(key) else rows
        return _Runs(
            key=key[starts],
            count=np.diff(starts, append=len(key)),
            first=seq[starts],
            address=trace_store.addresses(number, rows[starts]),
            group=np.full(len(starts), number),
        )

    def _join(self) -> None:
        # Runs are in the order of time: the first of a key is the one with which it begins.
        keys = self._all("key")
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        counts = np.bincount(inverse, weights=self._all("count"), minlength=len(unique))
        began = np.argsort(first)
        self.keys, self.counts = unique[began], counts[began].astype(np.int64)
        self.addresses = self._all("address")[first[began]]

    def _all(self, field: str) -> Any:
        parts = [getattr(runs, field) for runs in self._runs]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def thread_of(self, key: int) -> int | None:
        """Return the number of a key's thread, None if it has none so far."""
        found = np.flatnonzero(self.keys == np.uint64(key))
        return int(found[0]) if len(found) else None

    def members(self, thread: int) -> Addresses:
        """Return the addresses of a thread's events, as far as the index goes."""
        key = self.keys[thread]
        parts, times = [], []
        for runs in self._runs:
            for number in set(runs.group[runs.key == key].tolist()):
                seq, op, keys = self.store.column(number, "seq", "op", self.by.value)
                rows = np.flatnonzero((keys == key) & trace_store.happened(op))
                parts.append(trace_store.addresses(number, rows))
                times.append(seq[rows])
        return trace_store.in_time(np.concatenate(parts), np.concatenate(times))
