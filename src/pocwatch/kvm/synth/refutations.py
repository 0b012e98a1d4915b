"""What refuted candidates teach, and the cheapest candidate that none of it rules out.

More maintenance never makes a safe policy unsafe: what a clean, an invalidation that cleans first, a
barrier or an instruction cache operation does, caches may do on their own or it only orders. So a
refuted candidate refutes every one that does no more: whatever is safe does more than it in at least one
slot. Such refutations are constraints, and what satisfies them all at least cost is either safe or
refuted anew: the implicit hitting set method (Karp, "Implicit hitting set problems and multi-genome
alignment", 2010). Choices are not ordered like that: each combination is searched by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.kvm.policy import Choices

Vector = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refutation:
    """A scenario's demand: one of these slots must hold one of these options (bits by index).

    It stands for policies that make these choices; no demand at all means that none of them is safe.
    """

    scenario: str
    choices: frozenset[tuple[str, bool]]
    demands: Mapping[int, int]

    def concerns(self, choices: Choices) -> bool:
        """Return whether a combination of choices is refuted by this."""
        return all(getattr(choices, name) is value for name, value in self.choices)

    def rules_out(self, chosen: Sequence[int]) -> bool:
        """Return whether a candidate, of choices that this concerns, does too little."""
        return not any(mask >> chosen[slot] & 1 for slot, mask in self.demands.items())


class _Open(NamedTuple):
    """A demand that is not met yet: slots with their options, the cheapest first, and the least cost."""

    ways: list[tuple[int, int]]
    least: Vector


class Problem:
    """The cheapest way to meet demands: exact, by branching on demands and bounding by costs.

    `costs[slot][option]` are vectors, the last entry only decides between equal ones; `base` is added
    to all. `front` are vectors found so far: what is no better than one of them in all entries but the
    last is of no interest.
    """

    def __init__(
        self,
        costs: Sequence[Sequence[Vector]],
        base: Vector,
        demands: Sequence[Mapping[int, int]],
        front: Sequence[Vector],
    ) -> None:
        self._costs = costs
        self._base = base
        self._demands = _strongest(demands)
        self._front = [vector[:-1] for vector in front]
        self._best: tuple[Vector, dict[int, int]] | None = None
        self._least: dict[tuple[int, int], Vector] = {}
        self._mores: dict[tuple[int, int, int], Vector] = {}

    def solve(self) -> tuple[Vector, tuple[int, ...]] | None:
        """Return the least vector (by its first entry, then the next) and the options; None if none."""
        slots = {slot for demand in self._demands for slot in demand}
        self._branch({slot: (1 << len(self._costs[slot])) - 1 for slot in sorted(slots)})
        if self._best is None:
            return None
        vector, options = self._best
        return vector, tuple(options.get(slot, 0) for slot in range(len(self._costs)))

    def _least_of(self, slot: int, domain: int) -> Vector:
        """Return the entrywise least of a slot's options."""
        key = (slot, domain)
        found = self._least.get(key)
        if found is None:
            vectors = [v for n, v in enumerate(self._costs[slot]) if domain >> n & 1]
            found = self._least[key] = tuple(map(min, zip(*vectors, strict=True)))
        return found

    def _hopeless(self, domains: dict[int, int], still: list[_Open]) -> bool:
        """Return whether no completion is of interest, by a bound: what is decided, and open demands.

        Open demands that share no slot have to be paid for one by one.
        """
        bound = self._base
        for slot, domain in domains.items():
            if not domain & 1:  # nothing costs nothing
                bound = _sum(bound, self._least_of(slot, domain))
        paid: set[int] = set()
        for open_ in still:
            if paid.isdisjoint(slot for slot, _ in open_.ways):
                paid.update(slot for slot, _ in open_.ways)
                bound = _sum(bound, open_.least)
        if self._best is not None and bound >= self._best[0]:
            return True
        return any(all(map(int.__le__, known, bound)) for known in self._front)

    def _more(self, slot: int, mask: int, domain: int) -> Vector:
        """Return what it costs at least to meet a demand by this slot."""
        key = (slot, mask, domain)
        found = self._mores.get(key)
        if found is None:
            found = self._mores[key] = tuple(
                map(int.__sub__, self._least_of(slot, domain & mask), self._least_of(slot, domain))
            )
        return found

    def _open(self, ways: list[tuple[int, int]], domains: dict[int, int]) -> _Open:
        costs = [self._more(slot, mask, domains[slot]) for slot, mask in ways]
        order = sorted(range(len(ways)), key=costs.__getitem__)
        return _Open([ways[n] for n in order], tuple(map(min, zip(*costs, strict=True))))

    def _narrowed(self, domains: dict[int, int]) -> list[_Open] | None:
        """Narrow the domains by demands with one way left; return the open demands, None if one fails.

        The dearest come first.
        """
        while True:
            changed = False
            still: list[list[tuple[int, int]]] = []
            for demand in self._demands:
                ways = []
                for slot, mask in demand.items():
                    domain = domains[slot]
                    if not domain & ~mask:
                        break  # it is met
                    if domain & mask:
                        ways.append((slot, mask))
                else:
                    if not ways:
                        return None
                    if len(ways) == 1:
                        domains[ways[0][0]] &= ways[0][1]
                        changed = True
                    else:
                        still.append(ways)
            if not changed:
                found = [self._open(ways, domains) for ways in still]
                found.sort(key=lambda o: (tuple(-n for n in o.least), len(o.ways)))
                return found

    def _branch(self, domains: dict[int, int]) -> None:
        still = self._narrowed(domains)
        if still is None or self._hopeless(domains, still):
            return
        if not still:
            self._choose(domains)
            return
        for slot, mask in still[0].ways:
            self._branch({**domains, slot: domains[slot] & mask})
            domains[slot] &= ~mask  # from here on: not this way
            if not domains[slot]:
                return

    def _choose(self, domains: dict[int, int]) -> None:
        """All demands are met: take the least of each domain, or try what is not comparable."""
        taken: dict[int, int] = {}
        vector = self._base
        for slot, domain in domains.items():
            least = self._least_of(slot, domain)
            options = [n for n in range(len(self._costs[slot])) if domain >> n & 1]
            same = [n for n in options if self._costs[slot][n] == least]
            if not same:
                for option in options:
                    self._branch({**domains, slot: 1 << option})
                return
            taken[slot] = same[0]
            vector = _sum(vector, least)
        if self._best is None or vector < self._best[0]:
            self._best = vector, taken


def _sum(one: Vector, other: Vector) -> Vector:
    return tuple(map(int.__add__, one, other))


def _strongest(demands: Sequence[Mapping[int, int]]) -> list[Mapping[int, int]]:
    """Leave out what is met whenever another demand is, and put the strongest first."""
    kept: list[Mapping[int, int]] = []
    for demand in sorted(demands, key=len):
        if not any(
            all(slot in demand and not mask & ~demand[slot] for slot, mask in other.items())
            for other in kept
        ):
            kept.append(demand)
    return kept
