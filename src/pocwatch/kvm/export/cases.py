"""What the line model lets happen to a cell, tabulated and folded into guarded cases.

A case is a guard (which values each level and memory may have) and what they become. The functions
of `line.model` are called on every conceivable content of the caches; nothing is written by hand, so
the concrete models cannot say anything else than the line model does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias

from pocwatch.arch.ops import Kind
from pocwatch.line import model
from pocwatch.line.automaton import Event, effects
from pocwatch.line.model import Caches, Copy
from pocwatch.platforms import Platform

Value: TypeAlias = Copy | bool  # of a level, or whether memory is latest
Row: TypeAlias = tuple[Value, ...]  # the levels, then memory
Box: TypeAlias = tuple[tuple[Value, ...], ...]  # for each variable the values it may have


@dataclass(frozen=True, slots=True)
class Case:
    """Where each variable has one of its values, some become others; None: it stays."""

    where: Box
    becomes: tuple[Value | None, ...]

    def applied(self, row: Row) -> Row | None:
        """Return the row after it, None if the guard does not hold."""
        if not all(value in values for value, values in zip(row, self.where, strict=True)):
            return None
        return tuple(
            value if new is None else new
            for value, new in zip(row, self.becomes, strict=True)
        )


def row_of(caches: Caches) -> Row:
    return (*caches.levels, caches.memory_latest)


def domain(platform: Platform) -> Box:
    """Return the values that each variable may have."""
    return (*((tuple(Copy),) * len(platform.levels)), (True, False))


def silent(platform: Platform, *, fill: bool) -> dict[str, tuple[Case, ...]]:
    """Return the cases of each silent move, by its name in the model."""
    tables: dict[str, dict[Row, Row]] = {}
    for caches in model.all_caches(platform):
        for name, after in model.silent_moves(caches, fill=fill):
            tables.setdefault(name, {})[row_of(caches)] = row_of(after)
    return {name: folded(table, domain(platform)) for name, table in sorted(tables.items())}


@functools.cache
def outcomes(platform: Platform, event: Event) -> tuple[tuple[Case, ...], ...]:
    """Return the cases of an event, an entry for each outcome that it may have.

    The first entry is possible everywhere, later ones only where their guards hold.
    """
    effect = effects(platform)[event]
    tables: list[dict[Row, Row]] = []
    for caches in model.all_caches(platform):
        results = list(dict.fromkeys(map(row_of, effect(caches))))
        for number, after in enumerate(results):
            if number == len(tables):
                tables.append({})
            tables[number][row_of(caches)] = after
    return tuple(folded(table, domain(platform)) for table in tables)


@functools.cache
def fresh(platform: Platform, kind: Kind) -> tuple[Case, ...]:
    """Return cases that change nothing and whose guards are where a read of the kind is fresh."""
    table = {
        row_of(caches): row_of(caches)
        for caches in model.all_caches(platform)
        if not model.may_read_stale(caches, kind)
    }
    return folded(table, domain(platform))


def folded(table: Mapping[Row, Row], box: Box) -> tuple[Case, ...]:
    """Return few cases, with guards that exclude each other, that say the same as the table."""
    rows = [row for row in table if _inside(row, box)]
    if not rows:
        return ()
    if len(rows) == _size(box):
        answers = [_common(rows, table, variable) for variable in range(len(box))]
        becomes = tuple(answer for answer in answers if not isinstance(answer, EllipsisType))
        if len(becomes) == len(box):
            return (Case(box, becomes),)
    return _split(table, box, next(v for v, values in enumerate(box) if len(values) > 1))


def _inside(row: Row, box: Box) -> bool:
    return all(value in values for value, values in zip(row, box, strict=True))


def _size(box: Box) -> int:
    size = 1
    for values in box:
        size *= len(values)
    return size


def _common(
    rows: Sequence[Row], table: Mapping[Row, Row], variable: int
) -> Value | EllipsisType | None:
    """Return what the variable becomes in all rows: None if it stays, ... if there is no one answer."""
    if all(table[row][variable] == row[variable] for row in rows):
        return None
    results = {table[row][variable] for row in rows}
    return results.pop() if len(results) == 1 else ...


def _split(table: Mapping[Row, Row], box: Box, variable: int) -> tuple[Case, ...]:
    """Fold for each value of a variable, and put together the values for which the same is said."""
    groups: list[tuple[Case, ...]] = []
    for value in box[variable]:
        narrow = (*box[:variable], (value,), *box[variable + 1 :])
        cases = folded(table, narrow)
        for number, group in enumerate(groups):
            together = _together(group, cases, variable)
            if together is not None:
                groups[number] = together
                break
        else:
            groups.append(cases)
    return tuple(case for group in groups for case in group)


def _together(
    group: tuple[Case, ...], cases: tuple[Case, ...], variable: int
) -> tuple[Case, ...] | None:
    """Return one list of cases for two that differ in the values of one variable, if there is one."""
    if len(group) != len(cases):
        return None
    merged: list[Case] = []
    for a, b in zip(group, cases, strict=True):
        others = [v for v in range(len(a.where)) if v != variable]
        if any(a.where[v] != b.where[v] or a.becomes[v] != b.becomes[v] for v in others):
            return None
        new = _one_new(a, b, variable)
        if isinstance(new, EllipsisType):
            return None
        where = list(a.where)
        where[variable] = (*a.where[variable], *b.where[variable])
        becomes = list(a.becomes)
        becomes[variable] = new
        merged.append(Case(tuple(where), tuple(becomes)))
    return tuple(merged)


def _one_new(a: Case, b: Case, variable: int) -> Value | EllipsisType | None:
    """Return what the variable becomes in both cases, ... if that is not one thing."""
    if a.becomes[variable] == b.becomes[variable]:
        return a.becomes[variable]
    for one, other in ((a, b), (b, a)):
        # what stays may also be written, if it is the value that the other gets
        if one.becomes[variable] is None and one.where[variable] == (other.becomes[variable],):
            return other.becomes[variable]
    return ...


