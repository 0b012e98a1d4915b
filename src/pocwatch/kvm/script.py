"""Scripts: what an agent of a scenario may do, as sequences, choices and repetitions of statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pocwatch.kvm.state import Action, State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System


class Statement(Protocol):
    """Something an agent may do, in one step.

    `moves` yields each way to do it now: the action, the state after it, and whether the statement is
    done (a guest access that faults is not: it is tried again). None if it is not possible now.
    """

    def moves(
        self, system: System, state: State, agent: int
    ) -> Iterable[tuple[Action, State, bool]]: ...


@dataclass(frozen=True, slots=True)
class Sequence:
    """Its parts, one after the other."""

    parts: tuple[Script, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of its parts."""

    parts: tuple[Script, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """Its part, any number of times, also none or for ever."""

    part: Script


Script = Statement | Sequence | Choice | Repetition


def seq(*parts: Script) -> Sequence:
    """Do the parts one after the other."""
    return Sequence(parts)


def choice(*parts: Script) -> Choice:
    """Do one of the parts."""
    return Choice(parts)


def repeat(*parts: Script) -> Repetition:
    """Do the parts, one after the other, any number of times: also none, also for ever."""
    return Repetition(Sequence(parts))


@dataclass(frozen=True, slots=True)
class Program:
    """A script as a graph. `edges[at]` are the statements possible at a place, with the next place."""

    edges: tuple[tuple[tuple[Statement, int], ...], ...]
    ends: frozenset[int]

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every statement, each place it stands once."""
        return tuple(statement for row in self.edges for statement, _ in row)


def compiled(script: Script) -> Program:
    """Return the script's graph; place 0 is its start."""
    labelled: list[list[tuple[Statement, int]]] = [[]]
    silent: list[list[int]] = [[]]

    def place() -> int:
        labelled.append([])
        silent.append([])
        return len(labelled) - 1

    def link(part: Script, start: int) -> int:
        """Add the part from `start` on and return the place where it ends."""
        if isinstance(part, Sequence):
            for inner in part.parts:
                start = link(inner, start)
            return start
        end = place()
        if isinstance(part, Choice):
            for inner in part.parts:
                silent[link(inner, start)].append(end)
        elif isinstance(part, Repetition):
            head = place()
            silent[start].append(head)
            silent[link(part.part, head)].append(head)
            silent[head].append(end)
        else:
            labelled[start].append((part, end))
        return end

    last = link(script, 0)
    reach = [_reachable(silent, start) for start in range(len(silent))]
    edges = [[edge for through in row for edge in labelled[through]] for row in reach]
    ends = [n for n, row in enumerate(reach) if last in row]
    return _renumbered(edges, ends)


def _reachable(silent: list[list[int]], start: int) -> list[int]:
    seen = [start]
    for at in seen:  # grows while it is walked
        seen += [after for after in silent[at] if after not in seen]
    return seen


def _renumbered(edges: list[list[tuple[Statement, int]]], ends: list[int]) -> Program:
    """Leave out places that are never reached, and make equal places one."""
    order = [0]
    for at in order:  # grows while it is walked
        order += dict.fromkeys(after for _, after in edges[at] if after not in order)
    classes = dict.fromkeys(order, 0)
    while True:  # merge places with the same moves, as the automaton's minimisation does
        keys = {
            at: (
                classes[at],
                at in ends,
                frozenset((id(stmt), classes[after]) for stmt, after in edges[at]),
            )
            for at in order
        }
        numbers: dict[object, int] = {}
        refined = {at: numbers.setdefault(keys[at], len(numbers)) for at in order}
        if len(set(refined.values())) == len(set(classes.values())):
            break
        classes = refined
    rows: dict[int, tuple[tuple[Statement, int], ...]] = {}
    for at in order:
        rows.setdefault(
            classes[at], tuple(dict.fromkeys((stmt, classes[after]) for stmt, after in edges[at]))
        )
    return Program(
        tuple(rows[n] for n in range(len(rows))), frozenset(classes[at] for at in order if at in ends)
    )
