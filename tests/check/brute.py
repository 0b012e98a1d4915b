"""A checker for readers: the answers by definition, for graphs of a few states. Shares no code with src.

A graph is any model; everything is recomputed from sets of steps, nothing is fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable
from typing import Any

State = Any
Test = Callable[[State], bool]
Fair = Callable[[Any], Hashable | None] | None


def distances(model: Any) -> dict[State, int]:
    """The fewest steps to each reachable state."""
    known = dict.fromkeys(model.initial(), 0)
    for steps in itertools.count(1):
        last = [state for state, distance in known.items() if distance == steps - 1]
        new = {after for state in last for _, after in model.actions(state)} - known.keys()
        if not new:
            return known
        known.update(dict.fromkeys(new, steps))
    raise AssertionError


def steps_to(model: Any, test: Test) -> int | None:
    """The fewest steps to a state of the test."""
    return min((d for s, d in distances(model).items() if test(s)), default=None)


def waits_after(model: Any, goal: Test, trigger: Test, starts_only: bool, fair: Fair) -> int | None:
    """The fewest steps to a state in which a run, armed and without the goal since, may stay so.

    That is a dead end, or a state of a set that a run can go round in for ever.
    """
    states = distances(model)
    waiting = {s for s in states if not goal(s)}
    steps = {s: [(a, t) for a, t in model.actions(s)] for s in states}
    stuck = {s for s in waiting if not steps[s]} | _loops(waiting, steps, fair)
    triggers = {s for s in waiting if trigger(s)}
    here = {(s, s in triggers) for s in model.initial()} | {(s, False) for s in model.initial()}
    for count in range(2 * len(states) + 1):
        if any(armed and s in stuck for s, armed in here):
            return count
        onward: set[tuple[State, bool]] = set()
        for s, armed in here:
            for _, t in steps[s]:
                if armed and t in waiting:
                    onward.add((t, True))
                if not armed:
                    onward |= {(t, False), (t, t in triggers and not starts_only)}
        here = onward
    return None


def _loops(
    waiting: set[State], steps: dict[State, list[tuple[Any, State]]], fair: Fair
) -> set[State]:
    """The states of all sets that a (fair) run can go round in: every set is tried."""
    found: set[State] = set()
    for size in range(1, len(waiting) + 1):
        for chosen in itertools.combinations(sorted(waiting), size):
            inside = set(chosen)
            if all(_reach(s, inside, steps) == inside for s in inside) and (
                fair is None or _is_fair(inside, steps, fair)
            ):
                found |= inside
    return found


def _reach(
    start: State, inside: set[State], steps: dict[State, list[tuple[Any, State]]]
) -> set[State]:
    """What one or more steps inside the set reach."""
    reached: set[State] = set()
    todo = [start]
    while todo:
        for _, after in steps[todo.pop()]:
            if after in inside and after not in reached:
                reached.add(after)
                todo.append(after)
    return reached


def _is_fair(
    inside: set[State],
    steps: dict[State, list[tuple[Any, State]]],
    fair: Callable[[Any], Hashable | None],
) -> bool:
    possible = [{fair(a) for a, _ in steps[s]} for s in inside]
    taken = {fair(a) for s in inside for a, t in steps[s] if t in inside}
    return set.intersection(*possible) - {None} <= taken


def orbits(states: Iterable[State], images: Callable[[State], Iterable[State]]) -> int:
    """How many classes the states fall into, if a state and its images are one."""
    left = set(states)
    count = 0
    while left:
        left -= set(images(left.pop()))
        count += 1
    return count
