"""Symmetry: of states that differ only in which component is which, one is enough.

Helpers that make a model's `canonical`. A component is a page, a vCPU, a line: anything of which a
state has several that behave alike. The idea is Murphi's scalarset (Ip and Dill, "Better verification
through symmetry", 1996).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

S = TypeVar("S")

Order = Sequence[int]


@dataclass(frozen=True, slots=True)
class Interchangeable(Generic[S]):
    """Components 0 to `count - 1` that may change places.

    `permute(state, order)` puts component `order[i]` in place i, everywhere: what belongs to the
    component, and what names it by its number (now `order.index(number)`). `key(state, i)` is something
    to sort by, that moves with its component and does not depend on the numbers of others: equal for
    equal components; the finer, the faster.
    """

    count: int
    permute: Callable[[S, Order], S]
    key: Callable[[S, int], Any]


def canonical_of(
    *groups: Interchangeable[S], sort_by: Callable[[S], Any] = lambda state: state
) -> Callable[[S], S]:
    """Return a `canonical` that is one state for all exchanges within each of the groups.

    States are compared by `sort_by`, which must tell different states apart. Components are sorted by
    their keys; all orders are tried among components of equal keys that are not wholly alike.
    """

    def canonical(state: S) -> S:
        options = [_sorted_orders(group, state) for group in groups]
        images = (
            _permuted(state, groups, orders) for orders in itertools.product(*map(list, options))
        )
        return min(images, key=sort_by)

    return canonical


def _permuted(state: S, groups: Sequence[Interchangeable[S]], orders: Iterable[Order]) -> S:
    for group, order in zip(groups, orders, strict=True):
        if any(place != component for place, component in enumerate(order)):
            state = group.permute(state, order)
    return state


def _sorted_orders(group: Interchangeable[S], state: S) -> Iterator[Order]:
    """Yield each order in which the keys are sorted, but only one of those that give the same state."""
    keys = [group.key(state, i) for i in range(group.count)]
    ordered = sorted(range(group.count), key=keys.__getitem__)
    ties = [list(tie) for _, tie in itertools.groupby(ordered, key=keys.__getitem__)]
    choices = [_arrangements(_alike(group, state, tie)) for tie in ties]
    for choice in itertools.product(*choices):
        yield tuple(itertools.chain.from_iterable(choice))


def _alike(group: Interchangeable[S], state: S, tie: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the components of a tie in classes: exchanging two of a class leaves the state as it is."""
    classes: list[tuple[int, ...]] = []
    for component in tie:
        for n, members in enumerate(classes):
            order = list(range(group.count))
            order[component], order[members[0]] = members[0], component
            if group.permute(state, order) == state:
                classes[n] = (*members, component)
                break
        else:
            classes.append((component,))
    return classes


def _arrangements(classes: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Yield each order of all members in which those of one class keep theirs."""
    if not any(classes):
        yield ()
    for n, members in enumerate(classes):
        if members:
            for rest in _arrangements([*classes[:n], members[1:], *classes[n + 1 :]]):
                yield (members[0], *rest)


def canonical_by_sorting(
    split: Callable[[S], tuple[Any, Iterable[Any]]], join: Callable[[Any, tuple[Any, ...]], S]
) -> Callable[[S], S]:
    """Return a `canonical` for states of a shared part and components that nothing names by number.

    `split` gives the shared part and the components, `join` is its inverse. Much the fastest.
    """

    def canonical(state: S) -> S:
        shared, components = split(state)
        return join(shared, tuple(sorted(components)))

    return canonical


def canonical_by_images(
    images: Callable[[S], Iterable[S]], sort_by: Callable[[S], Any] = lambda state: state
) -> Callable[[S], S]:
    """Return a `canonical` that is the least of all images of a state, itself among them."""

    def canonical(state: S) -> S:
        return min(images(state), key=sort_by)

    return canonical
