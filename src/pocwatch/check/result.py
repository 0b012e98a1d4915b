"""What a check found: a verdict and a trace for each claim, and how much was seen."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")
A = TypeVar("A")


class Verdict(enum.Enum):
    """What is known of a claim. Only HOLDS is good news, and it is never said on a limit."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNREACHED = "unreached"  # a `sometimes` without an example in the full state space
    UNKNOWN = "unknown"


class Ended(enum.Enum):
    """Why the search ended."""

    FIXPOINT = "all reachable states seen"
    FAILED = "first violation"
    MAX_STATES = "limit of states"
    MAX_SECONDS = "limit of time"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Trace(Generic[S, A]):
    """A run of the model: an initial state, then (action, state after it) for each step.

    In a lasso, the state after the last step is `states[loops_to]` again; otherwise it is None.
    """

    start: S
    steps: tuple[tuple[A, S], ...]
    loops_to: int | None = None

    @property
    def states(self) -> tuple[S, ...]:
        """The states passed, the start first: one more than there are steps."""
        return (self.start, *(state for _, state in self.steps))

    @property
    def actions(self) -> tuple[A, ...]:
        return tuple(action for action, _ in self.steps)

    @property
    def end(self) -> S:
        return self.steps[-1][1] if self.steps else self.start

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class ClaimResult(Generic[S, A]):
    """The verdict on one claim; `trace` is a counterexample, or the example of a `sometimes`."""

    name: str
    verdict: Verdict
    trace: Trace[S, A] | None = None


@dataclass(frozen=True, slots=True)
class Checked(Generic[S, A]):
    """The result of a check.

    `states` counts distinct states (with symmetry: classes of them), `transitions` the steps out of
    them, `depth` the fewest steps to the farthest. `complete` says that all reachable states were seen.
    """

    claims: tuple[ClaimResult[S, A], ...]
    states: int
    transitions: int
    depth: int
    complete: bool
    ended: Ended
    seconds: float = field(compare=False)

    @property
    def verdict(self) -> Verdict:
        """The verdict on all claims together: the worst, a violation before all else."""
        verdicts = {claim.verdict for claim in self.claims}
        for worst in (Verdict.VIOLATED, Verdict.UNREACHED, Verdict.UNKNOWN):
            if worst in verdicts:
                return worst
        return Verdict.HOLDS if self.complete else Verdict.UNKNOWN

    @property
    def trace(self) -> Trace[S, A] | None:
        """The shortest counterexample, None if nothing is violated."""
        found = [
            claim.trace
            for claim in self.claims
            if claim.verdict is Verdict.VIOLATED and claim.trace is not None
        ]
        return min(found, key=len, default=None)

    def claim(self, name: str) -> ClaimResult[S, A]:
        """Return the result of the claim of that name. Raises KeyError."""
        for claim in self.claims:
            if claim.name == name:
                return claim
        known = ", ".join(claim.name for claim in self.claims)
        raise KeyError(f"no claim {name!r}; there are: {known}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: states seen, of these not yet expanded, depth, steps, seconds."""

    states: int
    frontier: int
    depth: int
    transitions: int
    seconds: float
