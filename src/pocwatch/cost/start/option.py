"""One policy on one VM, priced: every event, fault latency, and what a second of running adds.

An option is a policy together with which RAM is present before the first run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pocwatch.cost import charge
from pocwatch.cost.counts import Counts
from pocwatch.cost.model import CostModel
from pocwatch.cost.quantity import Estimate, total
from pocwatch.cost.start import latency
from pocwatch.cost.start.count import POC_BY_VA, Counter
from pocwatch.cost.start.errors import BenchError
from pocwatch.cost.start.events import ONCE, START, Event, EventSource, Phase
from pocwatch.cost.start.latency import Latency
from pocwatch.cost.start.vm import Present, Vm
from pocwatch.kvm.policy import Policy
from pocwatch.platforms import Platform

_WHERE_PRESENT_MATTERS = ("at_slot_creation", "at_allocation", "at_first_run")


@dataclass(frozen=True, slots=True)
class Step:
    """What one kind of event adds, all its times together, in ns."""

    phase: Phase
    what: str
    hooks: tuple[str, ...]
    times: int
    counts: Counts
    time: Estimate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an option adds to a VM's life. Times are in ns; `steady` is per second of running."""

    policy: str
    present: Present
    two_readings: bool
    vm: Vm
    steps: tuple[Step, ...]
    latency: Latency | None

    @property
    def name(self) -> str:
        """The policy, and which RAM is present if that matters to it."""
        return f"{self.policy} ({self.present.value})" if self.two_readings else self.policy

    def time(self, phases: Iterable[Phase]) -> Estimate:
        """Return what some phases add."""
        wanted = set(phases)
        return total(step.time for step in self.steps if step.phase in wanted)

    @property
    def start(self) -> Estimate:
        """Until the first guest instruction."""
        return self.time(START)

    @property
    def total(self) -> Estimate:
        """Over the VM's life, without what running adds."""
        return self.time(ONCE)

    @property
    def steady(self) -> Estimate:
        """In each second."""
        return self.time([Phase.RUN])

    @property
    def counts(self) -> Counts:
        """Return everything counted over the life, without running."""
        found = Counts()
        for step in self.steps:
            if step.phase is not Phase.RUN:
                found += step.counts
        return found


def readings(
    policy: Policy, platform: Platform, source: EventSource, vm: Vm
) -> tuple[Present, ...]:
    """Return which RAM may be present: both, if by-VA cleaning before the run depends on it."""
    counter = Counter(policy, platform)
    choices = policy.on(platform)
    for event in source.events(vm, Present.ALL, choices, platform):
        for hook in event.hooks:
            if hook in _WHERE_PRESENT_MATTERS and POC_BY_VA & set(counter.operations(event, hook)):
                return (Present.WRITTEN, Present.ALL)
    return (Present.WRITTEN,)


def outcomes(
    policy: Policy, platform: Platform, model: CostModel, source: EventSource, vm: Vm, seed: int
) -> list[Outcome]:
    """Return the options that a policy is, priced. Raises PolicyError, BenchError."""
    if model.line_bytes != platform.dminline_bytes:
        raise BenchError(
            f"cost set {model.name!r} has lines of {model.line_bytes} bytes, platform "
            f"{platform.name!r} of {platform.dminline_bytes}: accepted is the same size"
        )
    wanted = readings(policy, platform, source, vm)
    choices = policy.on(platform)
    found = []
    for present in wanted:
        events = source.events(vm, present, choices, platform)
        two = len(wanted) > 1
        found.append(
            outcome(policy, platform, model, events, vm, present, two_readings=two, seed=seed)
        )
    return found


def outcome(
    policy: Policy,
    platform: Platform,
    model: CostModel,
    events: Iterable[Event],
    vm: Vm,
    present: Present,
    *,
    two_readings: bool,
    seed: int,
) -> Outcome:
    """Return one option, priced."""
    events = tuple(events)
    counter = Counter(policy, platform)
    steps = []
    for event in events:
        counts = counter.count(event)
        time = charge.cost(model, counts)
        steps.append(Step(event.phase, event.what, event.hooks, event.times, counts, time))
    found = latency.of_boot(counter, model, events, seed)
    return Outcome(policy.name, present, two_readings, vm, tuple(steps), found)
