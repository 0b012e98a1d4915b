"""The search: candidates in order of cost, refuted or proved safe, until the Pareto front is complete.

The cheapest candidate that no refutation rules out is judged. If a scenario refutes it, the refutation is
made as general as it goes and kept; if none does, it is on the front, and what is no better than it is
left aside. When nothing is left, every policy of the space is either refuted, or no better than a policy
of the front. Scenarios are tried in the order given, quick ones first; long ones not to their end, so
policies of the front are confirmed later (`confirm`), and the search goes on if one is not.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pocwatch.kvm.policy import Choices
from pocwatch.kvm.synth.judge import Judge, Run
from pocwatch.kvm.synth.refutations import Problem, Refutation, Vector
from pocwatch.kvm.synth.space import Candidate, Part, Space

_LONG_STATES = 6000
"""A scenario with more states is left for later: what is on the front is to be judged in full."""
_QUICK_STATES = 300
"""A refutation that took more is made general by replaying its counterexample only."""
_PATIENCE = 5
"""The others also by runs of at most so many times the states that they took."""


class Costs(Protocol):
    """What policies are compared by: vectors of whole numbers, less is better in each entry.

    A policy costs what its choices cost and, under these choices, each of its parts, added up.
    """

    def base(self, choices: Choices) -> Vector: ...

    def part(self, choices: Choices, part: Part) -> Vector: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A policy that no scenario refutes, and its costs."""

    candidate: Candidate
    costs: Vector


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known on the way."""

    refutations: int
    runs: int
    front: int


class OutOfTime(Exception):
    """The time is up; what was found is in the search."""


class Search:
    """A search in progress: `run` it; what it knows stays readable if it ends early."""

    def __init__(
        self,
        judge: Judge,
        costs: Costs,
        scenarios: Sequence[str],
        *,
        max_seconds: float | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.judge = judge
        self.space: Space = judge.space
        self.refutations: list[Refutation] = []
        self.front: list[Found] = []
        self.judged = 0
        self._costs = costs
        self._scenarios = list(scenarios)
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._progress = progress
        self._vectors: dict[Choices, list[list[Vector]]] = {}

    # --- Costs -----------------------------------------------------------------------------------

    def _costs_of(self, choices: Choices) -> list[list[Vector]]:
        """Return the cost of each option of each slot; the last entry prefers fewer and weaker parts."""
        found = self._vectors.get(choices)
        if found is None:
            nothing = (0,) * (len(self._costs.base(choices)) + 1)
            found = self._vectors[choices] = [
                [
                    nothing
                    if operation is None
                    else (*self._costs.part(choices, Part(slot, operation)), 10 + n)
                    for n, operation in enumerate(options)
                ]
                for slot, options in zip(self.space.slots, self.space.options, strict=True)
            ]
        return found

    def _made(self, choices: Choices) -> int:
        return sum(getattr(choices, name) for name in choices.__slots__)

    def cost(self, candidate: Candidate) -> Vector:
        """Return a policy's costs, without the last entry."""
        table = self._costs_of(candidate.choices)
        vectors = [table[slot][n][:-1] for slot, n in enumerate(candidate.chosen)]
        return tuple(map(sum, zip(self._costs.base(candidate.choices), *vectors, strict=True)))

    # --- The loop --------------------------------------------------------------------------------

    def run(self) -> None:
        """Search until the front is complete. Raises OutOfTime."""
        heap: list[tuple[Vector, int, Candidate]] = []
        for number, choices in enumerate(self.space.choices):
            self._refute_at_the_top(choices)
            self._push(heap, number, choices)
        while heap:
            vector, number, candidate = heapq.heappop(heap)
            if not self._beaten(vector) and not self._ruled_out(candidate):
                refuting = self._refuting(candidate)
                if refuting is None:
                    self.front = [f for f in self.front if not _no_worse(vector[:-1], f.costs)]
                    self.front.append(Found(candidate, vector[:-1]))
                else:
                    self.refutations.append(self.generalised(refuting, candidate))
                self._tell()
            self._push(heap, number, candidate.choices)

    def take_back(self, found: Found, scenario: str) -> None:
        """Learn that a scenario refutes a policy of the front after all; `run` again then."""
        self.front.remove(found)
        run = self.judge.run(scenario, found.candidate)
        self.refutations.append(self.generalised(run, found.candidate))

    def _refute_at_the_top(self, choices: Choices) -> None:
        """See whether not even doing everything is safe with these choices."""
        if any(r.concerns(choices) and not r.demands for r in self.refutations):
            return
        for scenario in self._scenarios:
            self._check_time()
            top = self.space.everything(choices)
            run = self.judge.run(scenario, top, max_states=_LONG_STATES)
            if run.refutes:
                self.refutations.append(Refutation(scenario, self._read(run, choices), {}))
                return

    @staticmethod
    def _read(run: Run, choices: Choices) -> frozenset[tuple[str, bool]]:
        return frozenset((name, getattr(choices, name)) for name in run.choices)

    def _push(
        self, heap: list[tuple[Vector, int, Candidate]], number: int, choices: Choices
    ) -> None:
        self._check_time()
        demands = [r.demands for r in self.refutations if r.concerns(choices)]
        base = (*self._costs.base(choices), self._made(choices))
        front = [(*found.costs, 0) for found in self.front]
        best = Problem(self._costs_of(choices), base, demands, front).solve()
        if best is not None:
            heapq.heappush(heap, (best[0], number, Candidate(choices, best[1])))

    def _beaten(self, vector: Vector) -> bool:
        return any(_no_worse(found.costs, vector[:-1]) for found in self.front)

    def _ruled_out(self, candidate: Candidate) -> bool:
        return any(
            r.concerns(candidate.choices) and r.rules_out(candidate.chosen)
            for r in self.refutations
        )

    def _refuting(self, candidate: Candidate) -> Run | None:
        self.judged += 1
        for scenario in self._scenarios:
            self._check_time()
            run = self.judge.run(scenario, candidate, max_states=_LONG_STATES)
            if run.refutes:
                return run
        return None

    def _tell(self) -> None:
        self._progress(Progress(len(self.refutations), self.judge.runs, len(self.front)))

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise OutOfTime

    # --- Learning --------------------------------------------------------------------------------

    def generalised(self, run: Run, candidate: Candidate) -> Refutation:
        """Let the refuted policy do as much more as it can without becoming safe; say what is left.

        Slots that the run did not look at make no difference to it.
        """
        top = self.space.everything(candidate.choices).chosen
        grown, run = candidate, self.judge.replayed(run, candidate) or run

        def tried(chosen: Sequence[int]) -> bool:
            nonlocal grown, run
            self._check_time()
            more = Candidate(candidate.choices, tuple(chosen))
            found = self.judge.replayed(run, more)
            if found is None and run.states <= _QUICK_STATES:
                limit = _PATIENCE * run.states
                found = self.judge.run(run.scenario, more, max_states=limit)
            if found is None or not found.refutes:
                return False
            grown, run = more, found
            return True

        tried([n if slot in run.slots else top[slot] for slot, n in enumerate(candidate.chosen)])
        for slots in self._by_hook(run, grown, top):
            if tried([top[n] if n in slots else old for n, old in enumerate(grown.chosen)]):
                continue
            for slot in slots:
                for option in self._more(slot, grown.chosen[slot]):
                    if tried([option if n == slot else o for n, o in enumerate(grown.chosen)]):
                        break
        demands = {}
        for slot, option in enumerate(grown.chosen):
            if option == top[slot]:
                continue
            options = range(len(self.space.options[slot]))
            demands[slot] = sum(1 << n for n in options if not self.space.no_more(slot, n, option))
        return Refutation(run.scenario, self._read(run, candidate.choices), demands)

    def _by_hook(self, run: Run, grown: Candidate, top: Sequence[int]) -> Iterator[list[int]]:
        places: dict[object, list[int]] = {}
        for slot in sorted(run.slots):
            if grown.chosen[slot] != top[slot]:
                where = self.space.slots[slot]
                places.setdefault((where.hook, where.when), []).append(slot)
        yield from places.values()

    def _more(self, slot: int, option: int) -> list[int]:
        """Return the options that do more, those that do most first."""
        options = range(len(self.space.options[slot]))
        return [
            n for n in reversed(options) if n != option and self.space.no_more(slot, option, n)
        ]


def _no_worse(one: Vector, other: Vector) -> bool:
    return all(map(int.__le__, one, other))
