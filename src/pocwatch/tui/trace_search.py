"""Search in a trace: row group by row group, in the columns where the words may be, from a place on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pocwatch.tui import trace_store
from pocwatch.tui.source import Searched
from pocwatch.tui.trace_store import Event, Store

_TEXTS = ("symbol", "op", "agent", "kind", "stack")
_NUMBERS = ("pa", "va", "ipa", "pc")
_LINE = 64


def _number(word: str) -> int | None:
    try:
        return int(word.replace("_", ""), 16) if word.startswith("0x") else None
    except ValueError:
        return None


def matching(store: Store, number: int, wanted: str) -> Any:
    """Return which rows of a row group hold every word of `wanted`, as a mask.

    A word is looked for in texts; an address, written with 0x, is that of a byte, or of its line.
    """
    seq, op = store.column(number, "seq", "op")
    mask = trace_store.happened(op)
    for word in wanted.casefold().split():
        address = _number(word)
        found: Any = np.zeros(len(seq), bool)
        for name in _TEXTS:
            codes, words = op if name == "op" else store.column(number, name)[0]
            hit = np.array([word in (each or "").casefold() for each in words], bool)
            if hit.any():
                found |= hit[codes]
        if address is not None:
            for name in _NUMBERS:
                (values,) = store.column(number, name)
                found |= values == np.uint64(address)
            (line,) = store.column(number, "line")
            found |= (line == np.uint64(address & -_LINE)) & (line != 0)
        mask &= found
        if not mask.any():
            break
    return mask


def search(store: Store, wanted: str, at: Event, step: int) -> Iterator[Searched]:
    """Find the next event with `wanted` behind (`step` 1) or before (-1) `at`, around the end.

    Yields after every row group; what it finds is an address.
    """
    order = list(range(len(store.generations)))
    here = store.groups[at.address >> 32].generation
    turned = [order[(here + step * n) % len(order)] for n in range(len(order))]
    total = len(store.groups) + len(store.generations[here])
    looked = 0
    own = at.seq, at.address
    for nth, generation in enumerate([*turned, here]):
        best: tuple[int, int] | None = None
        for number in store.generations[generation]:
            looked += 1
            best = _nearer(
                best, _candidates(store, number, wanted, at, step, nth, len(order)), step
            )
            yield Searched(None, looked / total)
        if best is not None:
            yield Searched(best[1], 1.0, around=best < own if step > 0 else best > own)
            return


def _nearer(
    best: tuple[int, int] | None, other: tuple[int, int] | None, step: int
) -> tuple[int, int] | None:
    if best is None or other is None:
        return best or other
    return min(best, other) if step > 0 else max(best, other)


def _candidates(
    store: Store, number: int, wanted: str, at: Event, step: int, nth: int, generations: int
) -> tuple[int, int] | None:
    """Return time and address of the match of a row group that comes first in the search's order.

    Of the generation that `at` is in, what lies ahead comes first (`nth` 0), the rest last.
    """
    rows = np.flatnonzero(matching(store, number, wanted))
    (seq,) = store.column(number, "seq")
    found = [
        (int(seq[row]), int(address))
        for row, address in zip(rows, trace_store.addresses(number, rows), strict=True)
    ]
    own = (at.seq, at.address)
    if nth == 0:
        found = [each for each in found if (each > own if step > 0 else each < own)]
    elif nth == generations:
        found = [each for each in found if (each <= own if step > 0 else each >= own)]
    if not found:
        return None
    return min(found) if step > 0 else max(found)
