"""Where the states of an automaton are drawn: rows by what may go wrong, so that down is worse.

No graph layout program: a report must look the same everywhere, and of the dozens of edges the ones that
were walked are what the reader looks for. States in which every read is fresh come first, then those
with some stale read, then those in which the latest data may be lost; within these, states that
lead to each other are put near each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.line.automaton import Automaton, Event
from pocwatch.line.table import lost_states

COLUMNS = 4
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Spot:
    """A state's place in the grid; columns may be halves, where a row is short and centred."""

    column: float
    row: int


def severity(automaton: Automaton, state: int) -> str:
    """Return "fresh", "stale" or "lost": what may be read in a state, caches filling by themselves."""
    if state in lost_states(automaton):
        return "lost"
    return "stale" if automaton.stale[1][state] else "fresh"


def edges(automaton: Automaton, fill: int) -> dict[tuple[int, int], list[Event]]:
    """Return the events that lead from a state to another one."""
    found: dict[tuple[int, int], list[Event]] = {}
    for event in Event:
        for state, after in enumerate(automaton.delta[fill][event]):
            if after != state:
                found.setdefault((state, after), []).append(event)
    return found


def _rows(automaton: Automaton) -> list[list[int]]:
    rows: list[list[int]] = []
    for wanted in ("fresh", "stale", "lost"):
        states = [s for s in range(automaton.states) if severity(automaton, s) == wanted]
        lines = -(-len(states) // COLUMNS)
        for n in range(lines):  # of equal length, as far as it goes
            rows.append(states[n * len(states) // lines : (n + 1) * len(states) // lines])
    return rows


def _column(row: Sequence[int], index: int) -> float:
    return index + (COLUMNS - len(row)) / 2


def spots(automaton: Automaton) -> list[Spot]:
    """Return the place of each state."""
    rows = _rows(automaton)
    neighbours: dict[int, set[int]] = {s: set() for s in range(automaton.states)}
    for one, other in edges(automaton, 1):
        neighbours[one].add(other)
        neighbours[other].add(one)
    for _ in range(_SWEEPS):
        at = {s: _column(row, i) for row in rows for i, s in enumerate(row)}
        for row in rows:
            row.sort(
                key=lambda s: (sum(at[n] for n in neighbours[s]) / max(len(neighbours[s]), 1), s)
            )
    placed = {s: Spot(_column(row, i), n) for n, row in enumerate(rows) for i, s in enumerate(row)}
    return [placed[state] for state in range(automaton.states)]
