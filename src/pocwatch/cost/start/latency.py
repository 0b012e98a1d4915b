"""Added latency of stage 2 faults when several vCPUs fault on one page: a queue for the mmu_lock.

The vCPUs arrive within the time of one fault, at seeded moments, and are served first come, first served.
What a fault hook does is done by each of them, what is done when the entry is installed by the first.
Added is what is more than the same arrivals take without maintenance. Facts B1.13, E1, E2.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.cost import charge
from pocwatch.cost.model import CostModel
from pocwatch.cost.quantity import Estimate
from pocwatch.cost.start.count import Counter
from pocwatch.cost.start.events import BOOT, Event, Phase

SAMPLES = 256  # of each kind of fault, about
_ONCE = frozenset({"at_allocation", "at_map"})  # done for the page, not for every vCPU


class Service(NamedTuple):
    """Maintenance, in ns, of the vCPU that comes first and of those behind it; and a fault without."""

    first: Estimate
    later: Estimate
    fault: Estimate


@dataclass(frozen=True, slots=True)
class Latency:
    """Added latency of the faults of a boot, in ns. `vcpus`: the most that raced."""

    p50: Estimate
    p99: Estimate
    worst: Estimate
    vcpus: int


def service(counter: Counter, model: CostModel, event: Event) -> Service:
    """Return the times of one of an event's faults."""
    later = tuple(hook for hook in event.hooks if hook not in _ONCE)
    fault = "permission_fault" if "at_permission_fault" in event.hooks else "stage2_fault"
    exits = model[fault] if event.added.permission_faults else Estimate(0, 0, 0)
    # A permission fault that a choice adds is all added, so it comes on top of the plain one here.
    return Service(
        charge.cost(model, counter.each(event, event.hooks, first=True)) + exits,
        charge.cost(model, counter.each(event, later, first=False)) + exits,
        model[fault],
    )


@functools.cache
def arrivals(racing: int, rounds: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """Return when vCPUs arrive in each round, in parts of a fault's time, ascending."""
    source = random.Random(seed)
    return tuple(tuple(sorted(source.random() for _ in range(racing))) for _ in range(rounds))


def simulate(
    first: float, later: float, fault: float, racing: int, rounds: int, seed: int
) -> list[float]:
    """Return the added latency of each vCPU's fault, `racing` of them in each round; all in ns."""
    found = []
    for moments in arrivals(racing, rounds, seed):
        plain = added = 0.0
        maintenance = first
        for moment in moments:
            arrival = moment * fault
            plain = (plain if plain > arrival else arrival) + fault
            added = (added if added > arrival else arrival) + fault + maintenance
            maintenance = later
            found.append(round(added - plain, 3))  # no float noise: ns are not known that well
    return found


def of_boot(
    counter: Counter, model: CostModel, events: Sequence[Event], seed: int
) -> Latency | None:
    """Return the latency over all faults of a boot, each kind as often as it comes; None for none."""
    kinds = [e for e in events if e.racing and (e.phase in BOOT or e.phase is Phase.FIRST_FETCH)]
    if not kinds:
        return None
    services = [service(counter, model, event) for event in kinds]
    found: list[list[float]] = []
    for corner in ("low", "typical", "high"):
        weighted: list[tuple[float, float]] = []
        for event, served in zip(kinds, services, strict=True):
            rounds = max(1, SAMPLES // event.racing)
            first, later, fault = (getattr(time, corner) for time in served)
            sample = simulate(first, later, fault, event.racing, rounds, seed)
            weighted += [(value, event.times / len(sample)) for value in sample]
        found.append(_quantiles(weighted, (0.5, 0.99, 1.0)))
    p50, p99, worst = (_estimate(corners) for corners in zip(*found, strict=True))
    return Latency(p50, p99, worst, max(event.racing for event in kinds))


def _estimate(corners: Sequence[float]) -> Estimate:
    """Return what three corners give; arrivals scale with a fault, so they need not be in order."""
    low, typical, high = (max(value, 0.0) for value in corners)
    return Estimate(min(low, typical), typical, max(typical, high))


def _quantiles(weighted: list[tuple[float, float]], wanted: Sequence[float]) -> list[float]:
    """Return the smallest values that at least such a part of the weight does not exceed."""
    weighted.sort()
    total = sum(weight for _, weight in weighted)
    found, below = [], 0.0
    position = iter(weighted)
    value = 0.0
    for part in wanted:
        while below < part * total * (1 - 1e-12):
            value, weight = next(position)
            below += weight
        found.append(value)
    return found
