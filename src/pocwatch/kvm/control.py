"""A cell without its caches: what agents do in which order, and what lines see of it.

Nothing that agents do depends on what a read returned, so the control of a cell is a finite graph that
can be told apart from the caches. That graph, with caches written out one by one, is what `export` gives
to other model checkers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pocwatch.kvm.lines import REST, Lines
from pocwatch.kvm.state import Action, State
from pocwatch.kvm.system import System
from pocwatch.line.word import Step


class _Blind(Lines):
    """Lines of which nothing is known and nothing is stale."""

    def after(self, number: int, step: Step) -> int:
        return REST

    def executable(self, number: int, by_guests: bool) -> int:
        return REST

    def without_fetched(self, number: int) -> int:
        return REST

    def verdict(self, number: int, step: Step) -> str:
        return "fresh"


@dataclass(frozen=True, slots=True)
class Control:
    """Places, numbered from 0, the start; edges are (from, action, to)."""

    places: int
    edges: tuple[tuple[int, Action, int], ...]


def control(system: System) -> Control:
    """Return the control graph of a cell."""
    blind = System(system.scenario, system.policy, system.platform, system.stage2)
    blind.lines = _Blind(blind.platform, blind.pes, blind.lines.instructions)
    (start,) = blind.initial()
    numbers: dict[State, int] = {start: 0}
    edges = list(_edges(blind, numbers))
    return Control(len(numbers), tuple(edges))


def _edges(blind: System, numbers: dict[State, int]) -> Iterator[tuple[int, Action, int]]:
    todo = list(numbers)
    for state in todo:  # grows while it is walked
        for action, after in blind.actions(state):
            if after not in numbers:
                numbers[after] = len(numbers)
                todo.append(after)
            yield numbers[state], action, numbers[after]
