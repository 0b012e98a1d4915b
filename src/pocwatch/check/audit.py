"""Is a model what it promises? Slow, for tests of models: the search itself takes the promises on trust.

It goes through the states without symmetry, calls everything twice, and compares. What one process
cannot see is order that changes from run to run, as that of sets of strings does: order these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic

from pocwatch.check.claims import Claim, DeadEndClaim, RunClaim, StateClaim
from pocwatch.check.judge import says
from pocwatch.check.model import A, Model, ModelError, S


def audit(model: Model[S, A], *, max_states: int = 10_000) -> int:
    """Check the contract of a model on its first states, breadth first; return how many these were.

    - `initial` and `actions` give the same again, in the same order.
    - `canonical`, if there is one, maps a state to one that is canonical itself, whose steps lead to
      the same canonical states, and of which every claim on states says the same. (Claims on steps
      are not compared: which step answers to which is not known.)

    Raises ModelError naming the first state at fault.
    """
    first, again = list(model.initial()), list(model.initial())
    if first != again:
        raise ModelError(f"initial() gave {first!r}, then {again!r}")
    canonical = getattr(model, "canonical", None)
    symmetry = None if canonical is None else _Symmetry(model, canonical)
    states = list(dict.fromkeys(first))
    seen = set(states)
    for number, state in enumerate(states):  # grows while it is walked
        if number == max_states:
            return number
        steps = _steps_twice(model, state)
        if symmetry is not None:
            symmetry.audit(state)
        for _, after in steps:
            if after not in seen:
                seen.add(after)
                states.append(after)
    return len(states)


def _steps_twice(model: Model[S, A], state: S) -> list[tuple[A, S]]:
    steps, again = list(model.actions(state)), list(model.actions(state))
    if steps != again:
        raise ModelError(f"actions({state!r}) gave {steps!r}, then {again!r}", state)
    return steps


class _Symmetry(Generic[S, A]):
    def __init__(self, model: Model[S, A], canonical: Callable[[S], S]) -> None:
        self._model = model
        self._canonical = canonical

    def audit(self, state: S) -> None:
        one = self._canonical(state)
        if self._canonical(one) != one:
            raise ModelError(
                f"canonical({state!r}) is {one!r}, whose own is {self._canonical(one)!r}", state
            )
        after = {self._canonical(s) for _, s in self._model.actions(state)}
        after_one = {self._canonical(s) for _, s in self._model.actions(one)}
        if after != after_one:
            difference = after ^ after_one
            raise ModelError(
                f"canonical({state!r}) is {one!r}, but only one of them leads to "
                f"{', '.join(map(repr, difference))}",
                state,
            )
        for claim in self._model.claims:
            for predicate in _predicates(claim):
                if says(claim.name, predicate, state) != says(claim.name, predicate, one):
                    raise ModelError(
                        f"claim {claim.name!r} says one thing of {state!r} and another of its "
                        f"canonical state {one!r}",
                        state,
                    )


def _predicates(claim: Claim[S, A]) -> Iterator[Callable[[S], bool]]:
    if isinstance(claim, StateClaim):
        yield claim.predicate
    elif isinstance(claim, DeadEndClaim):
        yield claim.proper_end
    elif isinstance(claim, RunClaim):
        yield claim.trigger
        yield claim.goal
