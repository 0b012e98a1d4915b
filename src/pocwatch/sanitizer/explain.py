"""The one place where findings ask the line model for a repair and for states in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pocwatch.arch.ops import Kind, Op


class Explanation(Protocol):
    """What the line model says of a state: the cheapest repair, and each cell in words.

    `lost`: there is no repair any more.
    """

    @property
    def repair(self) -> Sequence[str]: ...

    @property
    def state_text(self) -> Sequence[str]: ...

    @property
    def lost(self) -> bool: ...


class Describe(Protocol):
    """`line.explain.describe`: `cell` is the index of the first stale cell."""

    def __call__(
        self, platform: Any, states: Sequence[int], cell: int, access_op: Op, access_kind: Kind, /
    ) -> Explanation: ...


def from_line_model() -> Describe:
    """Return the line model's explainer (imported late: it determinises the platform's table)."""
    from pocwatch.line import explain

    return explain.describe
