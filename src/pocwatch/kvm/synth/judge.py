"""Verdicts of candidates, many of them: nothing is explored twice that would go the same way.

A run of the checker notes which slots its policy's hooks looked at and which choices the model read.
Every candidate that agrees in these goes exactly the same way, so it has the same verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from pocwatch.check import result as checked
from pocwatch.check.search import check
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.lines import Lines
from pocwatch.kvm.policy import Choices, Policy
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.state import Action
from pocwatch.kvm.synth.space import Candidate, Space
from pocwatch.kvm.system import NO_LEAK, NO_STALE_READ, System
from pocwatch.kvm.verdict import Word


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the checker found, and what it depends on.

    `slots`: those whose operations it looked at. `choices`: names of those it read. `steps` is the
    length of the counterexample, 0 if there is none; `schedule` who does what in it, maintenance left
    out.
    """

    scenario: str
    word: Word
    steps: int
    states: int
    slots: frozenset[int]
    choices: frozenset[str]
    schedule: tuple[tuple[str, str], ...] = ()

    @property
    def refutes(self) -> bool:
        """Whether there is a counterexample."""
        return self.word in (Word.UNSAFE, Word.LEAK)


class _Group(NamedTuple):
    slots: tuple[int, ...]
    choices: tuple[str, ...]
    runs: dict[tuple[Any, ...], Run]

    def key(self, candidate: Candidate) -> tuple[Any, ...]:
        return (
            tuple(getattr(candidate.choices, name) for name in self.choices),
            tuple(candidate.chosen[slot] for slot in self.slots),
        )


class _Watched:
    """Choices that note which of them are read."""

    def __init__(self, choices: Choices, read: set[str]) -> None:
        self._choices, self._read = choices, read

    def __getattr__(self, name: str) -> bool:
        self._read.add(name)
        value: bool = getattr(self._choices, name)
        return value


class Judge:
    """Judges candidates of a space. `runs` counts what really was explored."""

    def __init__(self, space: Space, scenarios: Sequence[Scenario], forced: Stage2) -> None:
        self.space = space
        self.scenarios = {scenario.name: scenario for scenario in scenarios}
        self.runs = 0
        self._forced = forced
        self._lines: dict[str, Lines] = {}
        self._known: dict[str, list[_Group]] = {name: [] for name in self.scenarios}

    def run(
        self, scenario: str, candidate: Candidate, *, max_states: int | None = None
    ) -> Run:
        """Return what is found for a candidate in a scenario: known, or explored now.

        What `max_states` cut short is unknown, and not remembered.
        """
        for group in self._known[scenario]:
            known = group.runs.get(group.key(candidate))
            if known is not None:
                return known
        found = self._explored(scenario, candidate, max_states)
        if found.word is not Word.UNKNOWN:
            self._remember(scenario, candidate, found)
        return found

    def _remember(self, scenario: str, candidate: Candidate, run: Run) -> None:
        slots, names = tuple(sorted(run.slots)), tuple(sorted(run.choices))
        groups = self._known[scenario]
        group = next((g for g in groups if (g.slots, g.choices) == (slots, names)), None)
        if group is None:
            group = _Group(slots, names, {})
            groups.append(group)
        group.runs[group.key(candidate)] = run

    def _explored(self, scenario: str, candidate: Candidate, max_states: int | None) -> Run:
        self.runs += 1
        slots: set[int] = set()
        read = {"forces_wb"}  # it decides the stage 2 entries
        system = self._system(scenario, candidate, slots, read)
        found = check(system, max_states=max_states)
        word = Word.SAFE if found.complete else Word.UNKNOWN
        for claim, broken in ((NO_LEAK, Word.LEAK), (NO_STALE_READ, Word.UNSAFE)):
            if found.claim(claim).verdict is checked.Verdict.VIOLATED:
                word = broken
        actions: Sequence[Action] = ()
        if found.trace is not None and word in (Word.LEAK, Word.UNSAFE):
            actions = found.trace.actions
        schedule = tuple((a.agent, a.event) for a in actions if not _maintains(system, a))
        return Run(
            scenario,
            word,
            len(actions),
            found.states,
            frozenset(slots),
            frozenset(read),
            schedule,
        )

    def replayed(self, run: Run, candidate: Candidate) -> Run | None:
        """Return how a candidate is refuted by another's counterexample, if it is.

        The agents do the same in the same order; maintenance comes wherever the candidate has it.
        """
        slots: set[int] = set()
        read = {"forces_wb"}
        system = self._system(run.scenario, candidate, slots, read)
        todo = [(state, 0) for state in system.initial()]
        seen = set(todo)
        for state, done in todo:  # grows while it is walked
            if state.broken is not None:
                footprint = frozenset(slots), frozenset(read)
                return replace(run, slots=footprint[0], choices=footprint[1])
            if done == len(run.schedule):
                continue
            for action, after in system.actions(state):
                if action.agent != run.schedule[done][0]:
                    continue
                if _maintains(system, action):
                    reached = (after, done)
                elif action.event == run.schedule[done][1]:
                    reached = (after, done + 1)
                else:
                    continue
                if reached not in seen:
                    seen.add(reached)
                    todo.append(reached)
        return None

    def _system(
        self, scenario: str, candidate: Candidate, slots: set[int], read: set[str]
    ) -> System:
        """Return the model; those of one scenario share their numbered lines, with steps once taken."""
        author = self.space.author(candidate, used=slots)
        made = Policy(author, author.name, author.origin)  # `policy.of` checks what users wrote
        system = System(self.scenarios[scenario], made, self.space.platform, self._forced)
        system.lines = self._lines.setdefault(scenario, system.lines)
        system.choices = _Watched(candidate.choices, read)  # type: ignore[assignment]
        return system


def _maintains(system: System, action: Action) -> bool:
    return action.why.startswith(f"{system.policy.name}: ")


def names_of_choices(choices: Choices) -> list[str]:
    """Return the names of the choices that were made."""
    return [f.name for f in fields(choices) if getattr(choices, f.name) and f.name != "broadcasts"]
