"""The answer to one question."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class State(enum.Enum):
    """Whether something is as it should be."""

    WORKS = "works"
    MISSING = "missing"  # `pocwatch run` does not work
    OPTIONAL = "optional-missing"  # something else does not


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `found` says what is there, `cure` is a shell command."""

    name: str
    state: State
    found: str
    why: str
    cure: str | None = None


def all_work(checks: Iterable[Check]) -> bool:
    """Say whether `pocwatch run` works."""
    return all(check.state is not State.MISSING for check in checks)
