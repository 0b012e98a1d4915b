"""One cell of the matrix: a scenario, a policy and a platform, judged."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from pocwatch.check import result as checked
from pocwatch.check.model import ModelError
from pocwatch.check.result import Checked, Progress
from pocwatch.check.search import Interrupt, check
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import Policy, PolicyError
from pocwatch.kvm.scenario import Scenario, ScenarioError
from pocwatch.kvm.state import Action, State
from pocwatch.kvm.system import NO_LEAK, NO_STALE_READ, READS, System
from pocwatch.line.word import Step
from pocwatch.platforms import Platform


class Word(enum.Enum):
    """The verdict words, as JSON has them."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    LEAK = "leak"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "n/a"


ASSUMPTIONS = (
    "one page of guest RAM stands for all, one cache line for a page (docs/model-checkers.md)",
    "at most two PEs, and the vCPUs that the scenario has; each agent keeps its contract",
    "the host has its caches on on every PE, so caches may fill at any time",
    "the host maps guest RAM cacheable, and only guests fetch Non-cacheable",
    "KVM's work under the mmu_lock is not interleaved with other such work; all else is",
    "a context switch contains a DSB, a VM entry synchronises the context, TLBIs are complete at the DSB",
    "accesses are otherwise in program order: the memory model's reorderings are left out",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of a cell.

    `trace` is the shortest counterexample; the last action is the read that may be stale. `reason` says
    why a verdict is n/a or unknown. `acted`: the policy did some maintenance or made some choice.
    """

    scenario: str
    policy: str
    platform: str
    verdict: Word
    states: int = 0
    seconds: float = 0.0
    trace: tuple[Action, ...] = ()
    reason: str = ""
    acted: bool = True

    @property
    def word(self) -> tuple[Step, ...]:
        """The counterexample as `pocwatch line` takes it: the steps that the page read has seen."""
        if not self.trace:
            return ()
        page = self.trace[-1].steps[-1][0]
        return tuple(s for action in self.trace for p, s in action.steps if p == page)


def decide(
    scenario: Scenario,
    policy: Policy,
    platform: Platform,
    *,
    forced: Stage2 = Stage2.FORCED,
    max_states: int | None = None,
    max_seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Judge one cell over all interleavings and all legal behaviours of the caches.

    Raises PolicyError or ScenarioError, for the author, if one of them raises or does nothing.
    """
    cell = (scenario.name, policy.name, platform.name)
    reason = policy.why_not(platform, scenario.name)
    if reason is not None:
        return Result(*cell, Word.NOT_APPLICABLE, reason=reason)
    system = System(scenario, policy, platform, forced)
    try:
        found = check(
            system,
            max_states=max_states,
            max_seconds=max_seconds,
            progress=progress,
            interrupt=Interrupt.RAISES,
        )
    except ModelError as error:
        if isinstance(error.__cause__, PolicyError | ScenarioError):
            raise error.__cause__ from None
        raise ScenarioError(f"scenario {scenario.name!r}: {error}") from error
    word = _word(found)
    if word is Word.SAFE:
        _refuse_idle(scenario, found)
    trace = found.trace.actions if found.trace is not None else ()
    reason = f"stopped at a {found.ended.value}" if word is Word.UNKNOWN else ""
    return Result(*cell, word, found.states, found.seconds, trace, reason, system.acted)


def _word(found: Checked[State, Action]) -> Word:
    if found.claim(NO_LEAK).verdict is checked.Verdict.VIOLATED:
        return Word.LEAK
    if found.claim(NO_STALE_READ).verdict is checked.Verdict.VIOLATED:
        return Word.UNSAFE
    return Word.SAFE if found.complete else Word.UNKNOWN


def _refuse_idle(scenario: Scenario, found: Checked[State, Action]) -> None:
    """Raise for a scenario of which "safe" would mean nothing."""
    missed = [c.name for c in found.claims if c.verdict is checked.Verdict.UNREACHED]
    if READS in missed:
        raise ScenarioError(
            f"scenario {scenario.name!r}: nothing is ever read, so nothing can be judged: it takes an "
            "agent that reads or executes, and that gets there"
        )
    if missed:
        raise ScenarioError(
            f"scenario {scenario.name!r}: it is not so that {' and '.join(missed)}: "
            "does it wait for a flag that nobody raises, or use a page that is not there?"
        )
