"""Options over growing RAM: who is cheapest where, and where curves cross."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pocwatch.cost.quantity import Estimate
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.vm import Vm

CORNERS = ("low", "typical", "high")
Quantity = Callable[[Outcome], Estimate]
QUANTITIES: dict[str, Quantity] = {
    "start": lambda outcome: outcome.start,
    "total": lambda outcome: outcome.total,
}


@dataclass(frozen=True, slots=True)
class Series:
    """VMs that differ in RAM only (and in what follows from it), and each option on each of them."""

    vms: tuple[Vm, ...]
    options: dict[str, tuple[Outcome, ...]]

    @property
    def page_bytes(self) -> int:
        """What stage 2 maps at a time."""
        return self.vms[0].page_bytes

    @property
    def vcpus(self) -> int:
        """How many vCPUs every VM has."""
        return self.vms[0].vcpus


def group(outcomes: Iterable[Outcome]) -> list[Series]:
    """Return a series for each page size and number of vCPUs, in the order they come."""
    groups: dict[tuple[int, int], dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        options = groups.setdefault((outcome.vm.page_bytes, outcome.vm.vcpus), {})
        options.setdefault(outcome.name, []).append(outcome)
    found = []
    for options in groups.values():
        most = max(options.values(), key=len)
        found.append(
            Series(tuple(o.vm for o in most), {name: tuple(line) for name, line in options.items()})
        )
    return found


@dataclass(frozen=True, slots=True)
class Crossover:
    """RAM, in bytes, from which `cheaper` costs less than `dearer` does, with typical costs.

    `at_least` and `at_most` bound it over low, typical and high costs; None: not within the sweep.
    """

    quantity: str
    cheaper: str
    dearer: str
    typical_bytes: float
    at_least: float | None
    at_most: float | None


def crossovers(series: Series, quantity: str, names: Sequence[str]) -> list[Crossover]:
    """Return where the curves of some options cross."""
    found = []
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            found += _of_pair(series, quantity, first, second)
    return sorted(found, key=lambda crossover: crossover.typical_bytes)


def _of_pair(series: Series, quantity: str, first: str, second: str) -> list[Crossover]:
    of = QUANTITIES[quantity]
    lines = [[of(outcome) for outcome in series.options[name]] for name in (first, second)]
    ram = [vm.ram_bytes for vm in series.vms]
    by_corner = {
        corner: _crossings(ram, *([getattr(e, corner) for e in line] for line in lines))
        for corner in CORNERS
    }
    found = []
    for where, falls in by_corner["typical"]:
        others = [[at for at, way in by_corner[c] if way is falls] for c in ("low", "high")]
        nearest = [min(ats, key=lambda at: abs(math.log(at / where)), default=None) for ats in others]
        known = [at for at in (where, *nearest) if at is not None]
        complete = None not in nearest
        names = (second, first) if falls else (first, second)
        at_least = min(known) if complete or min(known) < where else None
        at_most = max(known) if complete or max(known) > where else None
        found.append(Crossover(quantity, *names, where, at_least, at_most))
    return found


def _crossings(
    ram: Sequence[int], first: Sequence[float], second: Sequence[float]
) -> list[tuple[float, bool]]:
    """Return (RAM in bytes, whether second is cheaper from there on).

    Between points costs are taken to be linear in RAM, which most of them are.
    """
    found = []
    signs = [(at, a - b) for at, a, b in zip(ram, first, second, strict=True)]
    signs = [(at, d) for at, d in signs if abs(d) > 1e-9]
    for (left, before), (right, after) in pairwise(signs):
        if (before > 0) != (after > 0):
            part = abs(before) / (abs(before) + abs(after))
            found.append((left + (right - left) * part, before < 0))
    return found


def cheapest(series: Series, quantity: str, names: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return (option, from RAM, to RAM): who costs least with typical costs, both ends included.

    Of options that cost the same, the first of `names` is taken.
    """
    of = QUANTITIES[quantity]
    found: list[tuple[str, int, int]] = []
    for n, vm in enumerate(series.vms):
        best = min(names, key=lambda name: (of(series.options[name][n]).typical, names.index(name)))
        if found and found[-1][0] == best:
            found[-1] = (best, found[-1][1], vm.ram_bytes)
        else:
            found.append((best, vm.ram_bytes, vm.ram_bytes))
    return found


def surely_less(first: Estimate, second: Estimate) -> bool:
    """Say whether one costs less than the other with low, with typical and with high costs alike."""
    return all(getattr(first, corner) < getattr(second, corner) for corner in CORNERS)
