"""What can be claimed of a model: of its states, its steps, its dead ends, its long runs.

Predicates return True or False, nothing else: an `always` that returns a generator or a mask by mistake
would otherwise hold for ever. With symmetry, predicates must say the same of exchanged components.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

S = TypeVar("S")
A = TypeVar("A")


class Mode(enum.Enum):
    """Whether a claim wants its predicate everywhere or somewhere."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"


@dataclass(frozen=True, slots=True)
class StateClaim(Generic[S]):
    """A claim about single reachable states."""

    name: str
    mode: Mode
    predicate: Callable[[S], bool]


@dataclass(frozen=True, slots=True)
class StepClaim(Generic[S, A]):
    """A claim about single reachable steps: (state before, action, state after)."""

    name: str
    mode: Mode
    predicate: Callable[[S, A, S], bool]


@dataclass(frozen=True, slots=True)
class DeadEndClaim(Generic[S]):
    """The claim that every reachable state without an action is a proper end."""

    name: str
    proper_end: Callable[[S], bool]


class Since(enum.Enum):
    """From where on a run claim waits for its goal."""

    START = "start"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class RunClaim(Generic[S, A]):
    """A claim about maximal runs: after each state of `trigger` the goal is reached, or is there.

    The trigger counts in initial states only (`Since.START`) or in all. A maximal run is infinite, or
    ends in a state without an action. `fair` names the fairness class of an action, None for none.
    """

    name: str
    since: Since
    trigger: Callable[[S], bool]
    goal: Callable[[S], bool]
    fair: Callable[[A], Hashable | None] | None


Claim: TypeAlias = StateClaim[S] | StepClaim[S, A] | DeadEndClaim[S] | RunClaim[S, A]


def always(name: str, predicate: Callable[[S], bool]) -> StateClaim[S]:
    """Claim that the predicate holds in every reachable state."""
    return StateClaim(name, Mode.ALWAYS, predicate)


def sometimes(name: str, predicate: Callable[[S], bool]) -> StateClaim[S]:
    """Claim that the predicate holds in some reachable state: guards against an empty model."""
    return StateClaim(name, Mode.SOMETIMES, predicate)


def always_step(name: str, predicate: Callable[[S, A, S], bool]) -> StepClaim[S, A]:
    """Claim that the predicate holds for every reachable step (before, action, after)."""
    return StepClaim(name, Mode.ALWAYS, predicate)


def sometimes_step(name: str, predicate: Callable[[S, A, S], bool]) -> StepClaim[S, A]:
    """Claim that the predicate holds for some reachable step: guards against a dead rule."""
    return StepClaim(name, Mode.SOMETIMES, predicate)


def never_action(name: str, predicate: Callable[[A], bool]) -> StepClaim[S, A]:
    """Claim that no reachable step takes an action of the predicate."""

    def is_not_taken(before: S, action: A, after: S) -> bool:
        taken = predicate(action)
        return not taken if isinstance(taken, bool) else taken  # the search rejects other values

    return StepClaim(name, Mode.ALWAYS, is_not_taken)


def never_stuck(
    name: str, proper_end: Callable[[S], bool] = lambda state: False
) -> DeadEndClaim[S]:
    """Claim that a state without an action is never reached, unless it is a proper end."""
    return DeadEndClaim(name, proper_end)


def eventually(
    name: str,
    predicate: Callable[[S], bool],
    fair: Callable[[A], Hashable | None] | None = None,
) -> RunClaim[S, A]:
    """Claim that every maximal run from an initial state reaches the predicate.

    Without `fair` nothing is assumed: an idle loop before the goal is a counterexample. With it, each
    class of actions it names is weakly fair: runs in which the class is possible from some point on
    for ever, and never taken, do not count.
    """
    return RunClaim(name, Since.START, _anything, predicate, fair)


def always_eventually(
    name: str,
    predicate: Callable[[S], bool],
    fair: Callable[[A], Hashable | None] | None = None,
) -> RunClaim[S, A]:
    """Claim that every maximal run reaches the predicate again and again, or ends in it."""
    return RunClaim(name, Since.ANYWHERE, _anything, predicate, fair)


def leads_to(
    name: str,
    trigger: Callable[[S], bool],
    predicate: Callable[[S], bool],
    fair: Callable[[A], Hashable | None] | None = None,
) -> RunClaim[S, A]:
    """Claim that every maximal run that is in the trigger is, then or later, in the predicate."""
    return RunClaim(name, Since.ANYWHERE, trigger, predicate, fair)


def _anything(state: object) -> bool:
    return True
