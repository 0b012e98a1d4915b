"""Traces: what the search found, as concrete runs that the model's `actions` can replay.

The search keeps, of each class of equal states, the concrete state it met first and where it came from.
So a shortest trace needs no translation. A lasso is found among classes, and walked with the model:
with symmetry, going round once may exchange components, so it is walked until a state itself returns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Generic

from pocwatch.check.cycles import Graph, Lasso
from pocwatch.check.model import A, Model, ModelError, S
from pocwatch.check.result import Trace


class Tracer(Generic[S, A]):
    """Makes traces from the states of a search; `parents[n]` is -1 for an initial state.

    `number_of` gives the number of a state's class.
    """

    def __init__(
        self,
        model: Model[S, A],
        states: Sequence[S],
        parents: Sequence[int],
        number_of: Callable[[S], int | None],
    ) -> None:
        self._model = model
        self._states = states
        self._parents = parents
        self._number_of = number_of

    def shortest(self, number: int, last: tuple[A, S] | None = None) -> Trace[S, A]:
        """Return a shortest trace to a state, and one given step further."""
        numbers = [number]
        while self._parents[numbers[-1]] >= 0:
            numbers.append(self._parents[numbers[-1]])
        passed = [self._states[n] for n in reversed(numbers)]
        steps = [self._step(before, after) for before, after in itertools.pairwise(passed)]
        if last is not None:
            steps.append(last)
        return Trace(passed[0], tuple(steps))

    def lasso(self, graph: Graph, lasso: Lasso, symmetric: bool) -> Trace[S, A]:
        """Return the run of a lasso, the cycle as often as it takes to come back to a state."""
        state = start = self._states[lasso.start]
        number = lasso.start
        steps: list[tuple[A, S]] = []

        def walk(edges: Sequence[int]) -> None:
            nonlocal state, number
            for edge in edges:
                target = graph.targets[edge]
                if symmetric:
                    step = self._step_to_class(state, target)
                else:
                    step = self._nth_step(state, edge - graph.out(number).start)
                steps.append(step)
                state, number = step[1], target

        walk(lasso.stem)
        if not lasso.cycle:
            return Trace(start, tuple(steps))
        been: dict[S, int] = {}
        while state not in been:
            been[state] = len(steps)
            walk(lasso.cycle)
        return Trace(start, tuple(steps), loops_to=been[state])

    def _step(self, before: S, after: S) -> tuple[A, S]:
        for step in self._model.actions(before):
            if step[1] == after:
                return step
        raise _changed(before, after)

    def _step_to_class(self, before: S, number: int) -> tuple[A, S]:
        for step in self._model.actions(before):
            if self._number_of(step[1]) == number:
                return step
        raise _changed(before, self._states[number])

    def _nth_step(self, before: S, position: int) -> tuple[A, S]:
        for n, step in enumerate(self._model.actions(before)):
            if n == position:
                return step
        raise _changed(before, None)


def _changed(before: object, after: object) -> ModelError:
    return ModelError(
        f"actions({before!r}) did not lead to {after!r} again: actions must depend on the state "
        "alone, and canonical must exchange only what behaves alike",
        before,
    )


def replay(model: Model[S, A], trace: Trace[S, A]) -> None:
    """Check that the trace is a run of the model. Raises ModelError, naming the first wrong step."""
    if trace.start not in set(model.initial()):
        raise ModelError(f"the trace starts in {trace.start!r}, no initial state", trace.start)
    before = trace.start
    for n, (action, after) in enumerate(trace.steps):
        if (action, after) not in list(model.actions(before)):
            raise ModelError(
                f"step {n} of the trace, {action!r}, does not lead from {before!r} to {after!r}",
                before,
                action,
            )
        before = after
    if trace.loops_to is not None and trace.states[trace.loops_to] != trace.end:
        raise ModelError(
            f"the trace ends in {trace.end!r}, not in its state {trace.loops_to} again", trace.end
        )
