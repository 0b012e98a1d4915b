"""Claims on states, steps and dead ends, judged as the search finds these.

A claim is watched until it is decided: an `always` by a violation, a `sometimes` by an example. The
first one found is a nearest one, since the search is breadth first.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from pocwatch.check.claims import Claim, DeadEndClaim, Mode, StateClaim, StepClaim
from pocwatch.check.model import A, ModelError, S, raised_by_model
from pocwatch.check.result import Verdict


class Stop(enum.Enum):
    """When to stop: at the first claim that is violated, or when all is known of all claims."""

    AT_FIRST = "first"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Finding(Generic[S, A]):
    """What decided a claim: the number of a state, and the step out of it for a step claim."""

    verdict: Verdict
    number: int
    last: tuple[A, S] | None = None


class Judge(Generic[S, A]):
    """The claims still watched, and the findings by name of claim.

    The lists change in place and never grow, so that the search can look whether they are empty.
    Methods return whether the search is over.
    """

    def __init__(self, claims: Sequence[Claim[S, A]], stop: Stop) -> None:
        self.on_states = [claim for claim in claims if isinstance(claim, StateClaim)]
        self.on_steps = [claim for claim in claims if isinstance(claim, StepClaim)]
        self.on_dead_ends = [claim for claim in claims if isinstance(claim, DeadEndClaim)]
        self.findings: dict[str, Finding[S, A]] = {}
        self._stop = stop

    def new_state(self, number: int, state: S, action: A | None) -> bool:
        over = False
        for claim in self.on_states[:]:
            try:
                answer = claim.predicate(state)
            except Exception as error:
                what = f"claim {claim.name!r} on state {state!r}"
                raise raised_by_model(what, error, state, action) from error
            if answer is not _USUAL[claim.mode]:
                self.on_states.remove(claim)
                over |= self._decide(claim, answer, Finding(_DECIDED[claim.mode], number))
        return over

    def step(self, number: int, before: S, action: A, after: S) -> bool:
        over = False
        for claim in self.on_steps[:]:
            try:
                answer = claim.predicate(before, action, after)
            except Exception as error:
                what = f"claim {claim.name!r} on action {action!r} from state {before!r}"
                raise raised_by_model(what, error, before, action) from error
            if answer is not _USUAL[claim.mode]:
                self.on_steps.remove(claim)
                finding = Finding(_DECIDED[claim.mode], number, (action, after))
                over |= self._decide(claim, answer, finding)
        return over

    def dead_end(self, number: int, state: S) -> bool:
        over = False
        for claim in self.on_dead_ends[:]:
            if not says(claim.name, claim.proper_end, state):
                self.on_dead_ends.remove(claim)
                over |= self._decide(claim, False, Finding(Verdict.VIOLATED, number))
        return over

    def _decide(self, claim: Claim[S, A], answer: object, finding: Finding[S, A]) -> bool:
        _expect_bool(claim.name, answer)
        self.findings[claim.name] = finding
        return finding.verdict is Verdict.VIOLATED and self._stop is Stop.AT_FIRST


_USUAL = {Mode.ALWAYS: True, Mode.SOMETIMES: False}  # any other answer decides the claim
_DECIDED = {Mode.ALWAYS: Verdict.VIOLATED, Mode.SOMETIMES: Verdict.HOLDS}


def says(name: str, predicate: Callable[[S], bool], state: S) -> bool:
    """Return what a predicate of the named claim says of a state. Raises ModelError."""
    try:
        answer = predicate(state)
    except Exception as error:
        raise raised_by_model(f"claim {name!r} on state {state!r}", error, state) from error
    _expect_bool(name, answer)
    return answer


def flags(name: str, predicate: Callable[[S], bool], states: Iterable[S]) -> bytearray:
    """Return what a predicate of the named claim says of each state, as 0 and 1."""
    return bytearray(says(name, predicate, state) for state in states)


def _expect_bool(name: str, answer: object) -> None:
    if answer is not True and answer is not False:
        raise ModelError(
            f"claim {name!r} returned {answer!r}, a {type(answer).__name__}; a predicate returns "
            "True or False (wrap it in bool(...) if this is meant)"
        )
