"""Graphs of what may be done, made small: equal places become one, places where nothing is done go.

A checker only asks which runs there are. So graphs with the same runs are as good as each other, and the
smallest deterministic one is the easiest to read. On the way to it there may be many sets of places: if
there are, the graph stays nondeterministic and only bisimilar places become one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

L = TypeVar("L", bound=Hashable)
SMALL = 1000  # so many sets of places take no time


@dataclass(frozen=True, slots=True)
class Arc(Generic[L]):
    """From a place to another; `does` None: nothing is done on the way. `notes` are for readers."""

    at: int
    does: L | None
    to: int
    notes: tuple[str, ...] = ()


Notes: TypeAlias = dict[str, None]  # an ordered set
Moves: TypeAlias = dict[tuple[L, int], Notes]  # what is done, and the place after it
Row: TypeAlias = dict[L, tuple[int, Notes]]  # the same, if there is one place after each


def smallest(arcs: Iterable[Arc[L]]) -> tuple[Arc[L], ...]:
    """Return the arcs of a small graph with the same runs from place 0: if it can be, the smallest.

    Places are numbered in the order in which a walk from the start meets them, so graphs with the same
    runs, their arcs in the same order, have the same result. An arc has the notes of all it stands for.
    """
    moves = _without_silence(list(arcs))
    least = _merged(moves, _classes(moves))
    rows = _deterministic(least, most=2 * len(least) + SMALL)
    if rows is not None:
        again = [{(does, to): notes for does, (to, notes) in row.items()} for row in rows]
        least = _merged(again, _classes(again))
    order = {0: 0}
    found: list[Arc[L]] = []
    for place in (todo := [0]):  # grows while it is walked
        for (does, to), notes in least[place].items():
            if to not in order:
                order[to] = len(order)
                todo.append(to)
            found.append(Arc(order[place], does, order[to], tuple(notes)))
    return tuple(found)


def _without_silence(arcs: Sequence[Arc[L]]) -> list[Moves[L]]:
    """Return what may be done at each place, also after doing nothing for a while."""
    count = 1 + max((max(arc.at, arc.to) for arc in arcs), default=0)
    moves: list[Moves[L]] = [{} for _ in range(count)]
    silent: list[set[int]] = [set() for _ in range(count)]
    for arc in arcs:
        if arc.does is None:
            silent[arc.at].add(arc.to)
        else:
            notes = moves[arc.at].setdefault((arc.does, arc.to), {})
            notes.update(dict.fromkeys(arc.notes))
    return [_with(place, moves, silent) for place in range(count)]


def _with(place: int, moves: Sequence[Moves[L]], silent: Sequence[set[int]]) -> Moves[L]:
    seen, todo = {place}, [place]
    there: Moves[L] = {}
    for at in todo:  # grows while it is walked
        more = sorted(silent[at] - seen)
        seen.update(more)
        todo += more
        for move, notes in moves[at].items():
            there.setdefault(move, {}).update(notes)
    return there


def _classes(moves: Sequence[Moves[L]]) -> list[int]:
    """Return a class for each place, the start's is 0: in one class all is the same for ever."""
    classes = [0] * len(moves)
    count = 1
    while True:
        numbers: dict[object, int] = {}
        refined = [
            numbers.setdefault(
                (classes[at], frozenset((does, classes[to]) for does, to in there)), len(numbers)
            )
            for at, there in enumerate(moves)
        ]
        if len(numbers) == count:
            return refined
        classes, count = refined, len(numbers)


def _merged(moves: Sequence[Moves[L]], classes: Sequence[int]) -> list[Moves[L]]:
    """Return the moves of each class."""
    merged: list[Moves[L]] = [{} for _ in range(1 + max(classes))]
    for at, there in zip(classes, moves, strict=True):
        for (does, to), notes in there.items():
            merged[at].setdefault((does, classes[to]), {}).update(notes)
    return merged


def _deterministic(moves: Sequence[Moves[L]], most: int) -> list[Row[L]] | None:
    """Return what may be done at each set of places, and to which set it leads; the first is the start.

    None if there are more sets than that.
    """
    sets = [frozenset({0})]
    numbers = {sets[0]: 0}
    rows: list[Row[L]] = []
    for places in sets:  # grows while it is walked
        if len(sets) > most:
            return None
        targets: dict[L, tuple[set[int], Notes]] = {}
        for place in sorted(places):
            for (does, to), notes in moves[place].items():
                reached, told = targets.setdefault(does, (set(), {}))
                reached.add(to)
                told.update(notes)
        row: Row[L] = {}
        for does, (reached, told) in targets.items():
            after = frozenset(reached)
            if after not in numbers:
                numbers[after] = len(sets)
                sets.append(after)
            row[does] = (numbers[after], told)
        rows.append(row)
    return rows
