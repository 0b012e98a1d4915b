"""A line of two cells, moved as a whole, against two cells followed one by one.

Caches hold lines: both cells are present together, dirty together, evicted together; only their values
differ. That each may be followed alone is part of why one line stands for all (docs/model-checkers.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import DATA_MAINTENANCE, Kind, Op
from pocwatch.line.line import step_cell
from pocwatch.line.model import Cell, maintained_levels
from pocwatch.line.word import parse
from pocwatch.platforms import Platform

Values = tuple[bool, bool]  # whether each cell's is the latest


class Copy(NamedTuple):
    values: Values
    dirty: bool


class Whole(NamedTuple):
    """A line: a copy or none per level, and memory."""

    levels: tuple[Copy | None, ...]
    memory: Values

    def seen_from(self, level: int) -> Values:
        return next((c.values for c in self.levels[level:] if c is not None), self.memory)

    def put(self, level: int, copy: Copy | None) -> Whole:
        return self._replace(levels=(*self.levels[:level], copy, *self.levels[level + 1 :]))

    def pushed(self, level: int) -> Whole:
        copy = self.levels[level]
        assert copy is not None
        after = self.put(level, Copy(copy.values, False))
        if level + 1 == len(self.levels):
            return after._replace(memory=copy.values)
        return after.put(level + 1, Copy(copy.values, True))


def silent(line: Whole) -> Iterator[Whole]:
    for level, copy in enumerate(line.levels):
        if copy is None:
            yield line.put(level, Copy(line.seen_from(level + 1), False))
        elif copy.dirty:
            yield line.pushed(level)
            yield line.pushed(level).put(level, None)
        else:
            yield line.put(level, None)


def settled(lines: Iterable[Whole]) -> frozenset[Whole]:
    seen = set(lines)
    todo = list(seen)
    while todo:
        for after in silent(todo.pop()):
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return frozenset(seen)


def written(values: Values, cell: int, latest: bool) -> Values:
    return (latest, values[1]) if cell == 0 else (values[0], latest)


def stored(line: Whole, kind: Kind, cell: int) -> Whole:
    view = line.seen_from(0)
    aged = tuple(c and Copy(written(c.values, cell, False), c.dirty) for c in line.levels)
    if kind is Kind.NC:
        return Whole(aged, written(line.memory, cell, True))
    own = Copy(written(view, cell, True), True)
    return Whole((own, *aged[1:]), written(line.memory, cell, False))


def maintained(platform: Platform, line: Whole, op: Op) -> Iterator[Whole]:
    does, levels = DATA_MAINTENANCE[op], maintained_levels(platform, op)
    cleaned = line
    for level in levels:
        copy = cleaned.levels[level]
        if copy is not None and copy.dirty:
            cleaned = cleaned.pushed(level)
    for start in (cleaned,) if does.clean else (cleaned, line):
        after = start
        for level in levels if does.invalidate else ():
            after = after.put(level, None)
        yield after


STEPS = ("st wb", "st wb +8", "st nc", "st nc +8", "dc cvac", "dc cvau", "dc civac", "dc ivac")


@pytest.mark.parametrize("name", ["cortex-a57", "cortex-a57-up", "xgene-l3-up", "l2x0-up"])
def test_cells_may_be_followed_one_by_one(name: str) -> None:
    """Words of up to 7 steps, maintenance completed at once; every read of both cells after each."""
    platform = platforms.load(name)
    random = Random(name)
    said = []
    for _ in range(60):
        empty = Whole((None,) * len(platform.levels), (True, True))
        lines = settled([empty])
        cells = [Cell.initial(platform), Cell.initial(platform)]
        for text in random.choices(STEPS, k=7):
            (step,) = parse(f"P0 {text}")
            own = step.offset // 8
            if step.op is Op.ST:
                assert step.kind is not None
                lines = settled(stored(line, step.kind, own) for line in lines)
            else:
                lines = settled(a for line in lines for a in maintained(platform, line, step.op))
            for number, cell in enumerate(cells):
                after = step_cell(cell, step, own=number == own)
                cells[number] = after.dsb(0)
                stale = any(not line.seen_from(0)[number] for line in lines)
                assert cells[number].reads(Kind.WB) is stale, text
                around = any(not line.memory[number] for line in lines)
                assert cells[number].reads(Kind.NC) is around, text
                said += [stale, around]
    assert 0.2 < sum(said) / len(said) < 0.8
