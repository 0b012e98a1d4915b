"""The matrix as tasks: what a worker process gets, and what it does with it.

Policies and scenarios go to the workers by reference, because those of a user's file cannot be pickled.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pocwatch import platforms
from pocwatch.check.pool import Outcome, Task, check_all
from pocwatch.cli import authored
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import Policy, PolicyError
from pocwatch.kvm.scenario import Scenario, ScenarioError
from pocwatch.kvm.verdict import Result, decide
from pocwatch.platforms import ICache, Platform
from pocwatch.sanitizer.errors import UsageError

WORTH_A_POOL = 100  # cells; fewer are judged in the time that a worker takes to start


@dataclass(frozen=True, slots=True)
class Options:
    """What is the same for all cells. `icache` None: the platform's own."""

    icache: ICache | None = None
    forced: Stage2 = Stage2.FORCED
    max_states: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell, by references: a name, or a file and the name in it."""

    scenario: tuple[str, str]
    policy: tuple[str, str]
    platform: str
    options: Options


def cells(
    scenarios: Sequence[str], policies: Sequence[str], names: Sequence[str], options: Options
) -> list[Cell]:
    """Return the cells of a matrix, platform by platform. Raises UsageError."""
    mine = [(ref, s.name) for ref in scenarios for s in authored.scenarios_of(ref)]
    theirs = [(ref, p.name) for ref in policies for p in authored.policies_of(ref)]
    for name in names:
        platform_of(name, options)
    return [Cell(s, p, name, options) for name in names for s in mine for p in theirs]


@functools.cache
def platform_of(name: str, options: Options) -> Platform:
    """Return a platform with the options applied. Raises UsageError."""
    try:
        platform = platforms.load(name)
    except platforms.PlatformError as error:
        raise UsageError(f"--platform: {error}") from None
    return platform if options.icache is None else replace(platform, icache=options.icache)


def parts(cell: Cell) -> tuple[Scenario, Policy, Platform]:
    """Return what a cell refers to."""
    scenario = next(s for s in authored.scenarios_of(cell.scenario[0]) if s.name == cell.scenario[1])
    policy = next(p for p in authored.policies_of(cell.policy[0]) if p.name == cell.policy[1])
    return scenario, policy, platform_of(cell.platform, cell.options)


def judged(cell: Cell) -> Result:
    """Judge a cell. Raises UsageError if its policy or scenario is broken."""
    options = cell.options
    try:
        return decide(
            *parts(cell),
            forced=options.forced,
            max_states=options.max_states,
            max_seconds=options.max_seconds,
        )
    except (PolicyError, ScenarioError) as error:
        raise UsageError(str(error)) from None


def judge_all(
    wanted: Sequence[Cell], jobs: int, on_result: Callable[[Result], None]
) -> list[Result]:
    """Judge all cells, the long ones first; return the results in order.

    `on_result` gets each as it comes. Raises UsageError; KeyboardInterrupt passes on.
    """
    order = sorted(range(len(wanted)), key=lambda n: -_effort(wanted[n]))
    tasks = [Task(str(n), judged, (wanted[n],)) for n in order]
    found: dict[int, Result] = {}

    def done(outcome: Outcome[Result]) -> None:
        if outcome.error is not None:
            raise UsageError(outcome.error.removeprefix("UsageError: "))
        result = outcome.get()
        found[int(outcome.name)] = result
        on_result(result)

    short = len(wanted) < WORTH_A_POOL and not any(_effort(cell) > 1 for cell in wanted)
    check_all(tasks, 1 if short else jobs, done)
    return [found[n] for n in range(len(wanted))]


def hints(wanted: Sequence[Cell]) -> Callable[[Result], list[str]]:
    """Return what gives the commands that tell more of a counterexample among these cells."""
    by_name = {(c.scenario[1], c.policy[1], platform_of(c.platform, c.options).name): c for c in wanted}

    def commands(result: Result) -> list[str]:
        cell = by_name[result.scenario, result.policy, result.platform]
        options = ["--platform", cell.platform]
        if cell.options.icache is not None:
            options += ["--icache", cell.options.icache.value]
        if cell.options.forced is not Stage2.FORCED:
            options += ["--fwb-fetches", "unforced"]
        explain = ["pocwatch", "check", "explain", cell.scenario[0], cell.policy[0], *options]
        word = "; ".join(map(str, result.word))
        line = ["pocwatch", "line", "--platform", cell.platform, word]
        return [shlex.join(explain), shlex.join(line)]

    return commands


def _effort(cell: Cell) -> int:
    """Return what is likely to take longest: everything at once, under what is likely to be safe."""
    safe = cell.policy[1].startswith(("mainline", "fwb"))
    return 2 * (cell.scenario[1] == "anything") + safe
