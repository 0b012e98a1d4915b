"""Every call site of maintenance of a recording, dropped alone: is it needed, on which platforms?

A call site is *needed* on a platform if something is found without it that is not found with it. What is
needed on the first platform is needed; what is needed only on others, needed elsewhere; the rest is
redundant, as far as this recording can tell: nothing read later what the maintenance was for, or other
maintenance does the same.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocwatch import schedulers
from pocwatch.line import table
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.explain import from_line_model
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.mutating.shard import Harm, Mutant, mutants
from pocwatch.sanitizer.mutating.sites import Site
from pocwatch.sanitizer.replaying import judge, replay
from pocwatch.sanitizer.stacks import Stacks
from pocwatch.trace import schema
from pocwatch.trace.records import Finding as RawFinding


class Verdict(enum.Enum):
    """What dropping a call site alone does; the text of a table."""

    NEEDED = "needed"
    ELSEWHERE = "needed elsewhere"
    REDUNDANT = "redundant"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Judged:
    """A call site, judged. `lines`: different ones, 0 for maintenance of no line.

    `times` by platform: reads found without it and not with it; `first`: the earliest of these findings
    on the first platform, or else on the first where there is one.
    """

    site: Site
    verdict: Verdict
    operations: int
    lines: int
    times: Mapping[str, int]
    first: Finding | None


@dataclass(frozen=True, slots=True)
class Campaign:
    """All call sites: the needed first, each kind by number of operations.

    `shards`: how many of the trace's were judged; `failure`: why not all, or why the trace is not whole.
    """

    trace: Path
    platforms: tuple[str, ...]
    sites: Sequence[Judged]
    shards: int
    failure: str | None

    @property
    def complete(self) -> bool:
        """Whether every call site of a whole recording was judged."""
        return self.failure is None


def with_first(plan: replay.Plan, name: str) -> replay.Plan:
    """Return the plan with the platform of that name, if there is one, in front of the others."""
    if name not in plan.platforms:
        return plan
    first = {name: plan.platforms[name]}
    return replace(plan, platforms=first | dict(plan.platforms))


def run(plan: replay.Plan, progress: Callable[[int, int], None]) -> Campaign:
    """Judge every call site; `progress` gets how many of how many shards are done.

    KeyboardInterrupt ends it early: call sites of which the rest may still show harm are undecided. What
    comes out of a whole campaign does not depend on the number of processes. Raises RunError, TraceError.
    """
    tables = tuple(map(table.binary, plan.platforms.values()))
    tasks = {
        str(shard): judge.Task(str(plan.options.trace.absolute()), shard, tables, "")
        for shard in range(schema.SHARDS)
    }
    done: dict[int, list[Mutant]] = {}
    failure = plan.damage[0] if plan.damage else None
    try:
        for name, found in schedulers.in_processes(mutants, tasks, plan.options.jobs):
            done[int(name)] = found
            progress(len(done), len(tasks))
    except KeyboardInterrupt:
        failure = f"ended by the user after {len(done)} of {len(tasks)} shards"
    names = tuple(plan.platforms)
    whole = len(done) == len(tasks)
    sites = [_judged(plan, site, parts, whole) for site, parts in _by_site(done).items()]
    return Campaign(plan.options.trace, names, _sorted(sites), len(done), failure)


def _by_site(done: Mapping[int, Sequence[Mutant]]) -> dict[Site, list[Mutant]]:
    found: dict[Site, list[Mutant]] = {}
    for shard in sorted(done):
        for mutant in done[shard]:
            found.setdefault(mutant.site, []).append(mutant)
    return found


def _judged(plan: replay.Plan, site: Site, parts: Sequence[Mutant], whole: bool) -> Judged:
    names = list(plan.platforms)
    harms: dict[int, list[Harm]] = {}
    for part in parts:
        for position, harm in part.harms.items():
            harms.setdefault(position, []).append(harm)
    if 0 in harms:
        verdict = Verdict.NEEDED
    elif not whole:
        verdict = Verdict.UNDECIDED
    else:
        verdict = Verdict.ELSEWHERE if harms else Verdict.REDUNDANT
    first = None
    if harms:
        position = min(harms)
        earliest = min(harms[position], key=lambda harm: (harm.seq, harm.first))
        first = _named(plan, names[position], earliest.first)
    return Judged(
        site=site,
        verdict=verdict,
        operations=sum(part.operations for part in parts),
        lines=sum(part.lines for part in parts),
        times={
            name: sum(harm.times for harm in harms.get(position, ()))
            for position, name in enumerate(names)
        },
        first=first,
    )


def _named(plan: replay.Plan, platform: str, raw: bytes) -> Finding:
    analyst = Analyst(
        plan.locator, [], plan.platforms[platform], from_line_model(), Stacks(plan.locator)
    )
    return analyst.finding(RawFinding.from_buffer_copy(raw))


def _sorted(sites: Sequence[Judged]) -> list[Judged]:
    order = list(Verdict)
    return sorted(sites, key=lambda one: (order.index(one.verdict), -one.operations, one.site))
