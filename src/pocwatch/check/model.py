"""What a model is: initial states, actions, claims; and what is said when one is broken.

A model is any object with these members; nothing is subclassed. States are hashable values (tuples and
ints are fastest), never changed in place. `actions` yields what may happen next, in an order that
depends on the state alone: counts, traces and verdicts are then the same in every run. `audit` checks
this on demand.
"""

from __future__ import annotations

import traceback
from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

from pocwatch.check.claims import Claim

S = TypeVar("S", bound=Hashable)
A = TypeVar("A")


class Model(Protocol[S, A]):
    """A finite transition system and what is claimed of it."""

    @property
    def claims(self) -> Sequence[Claim[S, A]]:
        """The claims, by distinct names."""
        ...

    def initial(self) -> Iterable[S]:
        """Yield the initial states: at least one."""
        ...

    def actions(self, state: S) -> Iterable[tuple[A, S]]:
        """Yield each action possible in the state with the state after it."""
        ...


class SymmetricModel(Model[S, A], Protocol[S, A]):
    """A model with interchangeable components (see `symmetry` for ready-made `canonical`)."""

    def canonical(self, state: S) -> S:
        """Return one state for all that differ only in which component is which.

        The state must behave like the given one: actions lead to the same states up to the exchange,
        and every claim says the same of both. It need not be reachable.
        """
        ...


class ModelError(Exception):
    """A model that is broken: it raises, breaks its contract, or has nothing to check.

    `state` and `action` are where it happened, None where they do not apply. What the model itself
    raised is the `__cause__`.
    """

    def __init__(self, message: str, state: object = None, action: object = None) -> None:
        super().__init__(message)
        self.state = state
        self.action = action


def raised_by_model(
    what: str, error: Exception, state: object = None, action: object = None
) -> ModelError:
    """Return the ModelError for something that the model raised, with the file and line of it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    shown = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ModelError(f"{what} raised {shown}{place}", state, action)
