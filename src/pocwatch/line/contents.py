"""What caches and memory may hold in a state of the automaton: the sets that minimisation merged.

A state stands for several sets of configurations that no observer can tell apart. Followed event by
event from a known start, the one set is known, too (`Contents.step`); of a state whose past is not
known, only the union of its sets (`Contents.of_state`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.line import model
from pocwatch.line.automaton import Event, Subsets
from pocwatch.line.model import Copy
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform

MEMORY = "memory"


class Place(NamedTuple):
    """A cell after some events: the automaton's state, and the configurations as a bit mask."""

    state: int
    mask: int


@dataclass(frozen=True, slots=True)
class Bar:
    """What one cache level, or memory (whose copies count as clean), may hold of a cell."""

    name: str
    may_hold: frozenset[Copy]

    @property
    def is_memory(self) -> bool:
        """Whether it is the memory behind the last level."""
        return self.name == MEMORY


class Contents:
    """The subset construction of a platform, with every step remembered."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.automaton = automaton_of(platform)
        self._subsets = Subsets(platform)
        self._after: dict[tuple[int, Event, int], int] = {}
        self._bars: dict[int, tuple[Bar, ...]] = {}
        reset = self._subsets.mask([model.at_reset(platform)])
        self.start = Place(0, self._subsets.close(reset, 1))

    def step(self, place: Place, event: Event, fill: int) -> Place:
        """Return the cell after an event, with or without caches filling on their own."""
        key = place.mask, event, fill
        if key not in self._after:
            self._after[key] = self._subsets.step(*key)
        return Place(self.automaton.delta[fill][event][place.state], self._after[key])

    @functools.cached_property
    def _unions(self) -> tuple[int, ...]:
        """Per state, all configurations of all sets of configurations that it stands for."""
        unions = [0] * self.automaton.states
        seen = {self.start}
        todo = [self.start]
        while todo:
            place = todo.pop()
            unions[place.state] |= place.mask
            for fill in (0, 1):
                for event in Event:
                    after = self.step(place, event, fill)
                    if after not in seen:
                        seen.add(after)
                        todo.append(after)
        return tuple(unions)

    def of_state(self, state: int) -> Place:
        """Return a cell of which only the state is known."""
        return Place(state, self._unions[state])

    def configurations(self, mask: int) -> Iterator[model.Caches]:
        """Yield the configurations of a mask."""
        for index, caches in enumerate(self._subsets.caches):
            if mask >> index & 1:
                yield caches

    def bars(self, places: Iterable[Place]) -> tuple[Bar, ...]:
        """Return what each level, nearest the PEs first, and memory may hold in any of `places`."""
        mask = 0
        for place in places:
            mask |= place.mask
        if mask not in self._bars:
            held: list[set[Copy]] = [set() for _ in range(len(self.platform.levels) + 1)]
            for caches in self.configurations(mask):
                below = model.copy_of(latest=caches.memory_latest, dirty=False)
                for copies, copy in zip(held, (*caches.levels, below), strict=True):
                    copies.add(copy)
            names = (*(level.name for level in self.platform.levels), MEMORY)
            self._bars[mask] = tuple(
                Bar(name, frozenset(copies)) for name, copies in zip(names, held, strict=True)
            )
        return self._bars[mask]


@functools.cache
def contents_of(platform: Platform) -> Contents:
    """Return the platform's contents, made once per process."""
    return Contents(platform)
