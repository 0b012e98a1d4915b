"""Small random models for Hypothesis: graphs, and systems of interchangeable components."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pocwatch.check.claims import Claim
from pocwatch.check.symmetry import Interchangeable, canonical_of


@dataclass(frozen=True)
class GraphModel:
    """States 0 to n - 1; `steps[s]` lists (action, state after it)."""

    starts: tuple[int, ...]
    steps: tuple[tuple[tuple[str, int], ...], ...]
    claims: Sequence[Claim[Any, Any]] = field(default=(), compare=False)

    def initial(self) -> tuple[int, ...]:
        return self.starts

    def actions(self, state: int) -> tuple[tuple[str, int], ...]:
        return self.steps[state]


@st.composite
def graphs(draw: st.DrawFn, most: int = 6) -> GraphModel:
    count = draw(st.integers(1, most))
    numbers = st.integers(0, count - 1)
    step = st.tuples(st.sampled_from("abc"), numbers)
    steps = draw(st.lists(st.lists(step, max_size=3), min_size=count, max_size=count))
    starts = draw(st.lists(numbers, min_size=1, max_size=2))
    return GraphModel(tuple(starts), tuple(map(tuple, steps)))


def subsets(most: int = 6) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(0, most - 1))


COMPONENTS = 3
LOCALS = 3


@dataclass(frozen=True)
class Rule:
    """A component in local state `source`, with or without the token (None: either), goes to `target`.

    It then keeps the token or takes it ("mine"), or gives it to any component, or to none.
    """

    source: int
    target: int
    token: bool | None
    then: str


@dataclass(frozen=True)
class TokenModel:
    """Components with a local state each, and a token that one of them, or none (-1), has.

    States are (locals, holder): the holder is a number of a component inside the state.
    """

    rules: tuple[Rule, ...]
    holder: int
    claims: Sequence[Claim[Any, Any]] = field(default=(), compare=False)

    def initial(self) -> list[Any]:
        return [((0,) * COMPONENTS, self.holder)]

    def actions(self, state: Any) -> Iterator[Any]:
        locals_, holder = state
        for number, rule in enumerate(self.rules):
            for me in range(COMPONENTS):
                if locals_[me] != rule.source or rule.token not in (None, holder == me):
                    continue
                after = (*locals_[:me], rule.target, *locals_[me + 1 :])
                holders = {"stays": [holder], "mine": [me], "none": [-1], "any": range(COMPONENTS)}
                for new in holders[rule.then]:
                    yield (number, me, new), (after, new)

    @property
    def canonical(self) -> Callable[[Any], Any]:
        return canonical_of(Interchangeable(COMPONENTS, permute, key))


def permute(state: Any, order: Sequence[int]) -> Any:
    locals_, holder = state
    return tuple(locals_[i] for i in order), -1 if holder < 0 else order.index(holder)


def key(state: Any, i: int) -> int:
    return int(state[0][i])


def images(state: Any) -> list[Any]:
    return [permute(state, order) for order in itertools.permutations(range(COMPONENTS))]


def token_models() -> st.SearchStrategy[TokenModel]:
    rules = st.builds(
        Rule,
        st.integers(0, LOCALS - 1),
        st.integers(0, LOCALS - 1),
        st.sampled_from([None, True, False]),
        st.sampled_from(["stays", "mine", "none", "any"]),
    )
    return st.builds(
        TokenModel,
        st.lists(rules, min_size=1, max_size=5).map(tuple),
        st.integers(-1, COMPONENTS - 1),
    )


@dataclass(frozen=True)
class Census:
    """A symmetric predicate: at least so many components in a local state, or the holder in it."""

    local: int
    least: int
    of_holder: bool

    def __call__(self, state: Any) -> bool:
        locals_, holder = state
        if self.of_holder:
            return holder >= 0 and locals_[holder] == self.local
        return locals_.count(self.local) >= self.least


def censuses() -> st.SearchStrategy[Census]:
    return st.builds(Census, st.integers(0, LOCALS - 1), st.integers(1, COMPONENTS), st.booleans())
