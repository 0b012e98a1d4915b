"""`pocwatch replay`: the reports that runs on other platforms, with other maintenance, would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocwatch import platforms, schedulers
from pocwatch.arch.ops import BY_SPELLING
from pocwatch.line import table
from pocwatch.platforms import Platform, PlatformError
from pocwatch.sanitizer import assemble, rules
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.explain import from_line_model
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.profile import Profile, named
from pocwatch.sanitizer.recording.names import unpacked
from pocwatch.sanitizer.replaying import judge
from pocwatch.sanitizer.suppressions import Suppression, shipped
from pocwatch.sanitizer.suppressions import load as load_suppressions
from pocwatch.trace import profile, schema
from pocwatch.trace.info import Info
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import RunHeader

_DROP = "--policy-drop"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asks of a replay. No platforms: all that the trace was recorded for.

    `jobs` processes on this computer, unless `scheduler` is the address of a Dask cluster's. `profile`
    gets the profile of maintenance on each platform, in their order.
    """

    trace: Path
    platforms: Sequence[str] = ()
    drop: Sequence[str] = ()
    suppressions: Path | None = None
    jobs: int = 1
    scheduler: str | None = None
    profile: Callable[[Profile], None] | None = field(repr=False, default=None)

    def words(self, platform: str) -> tuple[str, ...]:
        """Return the command line that asks for one platform's report again."""
        said = ["pocwatch", "replay", str(self.trace), "--platform", platform]
        said += [word for text in self.drop for word in (_DROP, text)]
        said += ["--suppressions", str(self.suppressions)] if self.suppressions else []
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay that was checked: platforms by the name they were asked for."""

    options: Options
    info: Info
    damage: Sequence[str]
    platforms: Mapping[str, Platform]
    locator: Locator
    rules: Sequence[rules.Rule]
    suppressions: Sequence[Suppression]


def plan(options: Options) -> Plan:
    """Check everything that can be checked before judging. Raise RunError, TraceError."""
    with Trace(options.trace) as trace:
        info, damage = trace.info, tuple(trace.damage)
    try:
        programs = unpacked(info.extra["programs"]) if "programs" in info.extra else []
    except ValueError:
        raise UsageError(f"{options.trace}: the symbols in it are not understood") from None
    locator = Locator(programs)
    wanted = [rules.parse(_DROP, text, locator.find, locator.similar) for text in options.drop]
    rules.check_count(wanted)
    accepted = shipped()
    if options.suppressions:
        accepted += load_suppressions(options.suppressions)
    return Plan(
        options=options,
        info=info,
        damage=damage,
        platforms=_platforms(options, info),
        locator=locator,
        rules=wanted,
        suppressions=accepted,
    )


def _platforms(options: Options, info: Info) -> dict[str, Platform]:
    """Return the platforms to judge on. Raise UsageError for one that the trace is not for."""
    try:
        recorded = {
            str(known["name"]): platforms.of_table(
                {key: value for key, value in known.items() if key != "name"}, str(known["name"])
            )
            for known in info.platforms
        }
    except (PlatformError, KeyError) as error:
        raise UsageError(f"{options.trace}: {error}; record it again") from None
    return {
        name: _asked(name, recorded, options.trace) for name in options.platforms or list(recorded)
    }


def _asked(name: str, recorded: Mapping[str, Platform], trace: Path) -> Platform:
    if name in recorded:
        return recorded[name]
    try:
        platform = platforms.load(name)
    except PlatformError as error:
        raise UsageError(f"--platform: {error}; {trace} is of {', '.join(recorded)}") from None
    judged = table.binary(platform)
    if not any(table.binary(known) == judged for known in recorded.values()):
        raise UsageError(
            f"--platform {name}: {trace} was not recorded for it, and may lack what it needs; it was "
            f"for {', '.join(recorded)}: ask for one of these, or record again with --platform {name}"
        )
    return platform


def run(plan: Plan, progress: Callable[[int, int], None]) -> Iterator[Report]:
    """Judge the trace and yield a report for each platform, in their order.

    `progress` gets how many of how many shards are done. What comes out does not depend on how many
    processes do it.
    """
    text = "".join(f"{line}\n" for i, rule in enumerate(plan.rules) for line in rule.lines(i))
    tables = tuple(map(table.binary, plan.platforms.values()))
    trace, count = str(plan.options.trace.absolute()), plan.options.profile is not None
    tasks = {
        str(shard): judge.Task(trace, shard, tables, text, profile=count)
        for shard in range(schema.SHARDS)
    }
    done: dict[str, list[judge.Judged]] = {}
    for name, judged in _scheduled(plan.options, tasks):
        done[name] = judged
        progress(len(done), len(tasks))
    for position, name in enumerate(plan.platforms):
        parts = [done[shard][position] for shard in tasks]
        yield _report(plan, name, [part.run for part in parts])
        if plan.options.profile is not None:
            counts = [profile.parse(part.profile or b"") for part in parts]
            whole = profile.summed([each for each in counts if each is not None])
            plan.options.profile(named(whole, plan.locator, name))


def _scheduled(
    options: Options, tasks: Mapping[str, judge.Task]
) -> Iterator[tuple[str, list[judge.Judged]]]:
    if options.scheduler is None:
        return schedulers.in_processes(judge.judged, tasks, options.jobs)
    if options.scheduler in (schedulers.HERE, *schedulers.LOCAL):
        raise UsageError(
            f"--scheduler {options.scheduler}: it is the address of a Dask scheduler, as in "
            "tcp://host:8786; on this computer, use --jobs N"
        )
    return schedulers.run(judge.judged, tasks, options.scheduler)


def _report(plan: Plan, name: str, parts: Sequence[bytes]) -> Report:
    platform, info = plan.platforms[name], plan.info
    left = judge.merged(parts)
    _put_counters(left.header, info)
    cut = plan.damage[0] if plan.damage else None
    interrupted = bool(info.extra.get("interrupted")) and len(plan.damage) == 1
    return assemble.report(
        assemble.Watched(
            platform=platform,
            qemu=info.qemu,
            command=plan.options.words(name),
            pes=info.machine.pes,
            rules=plan.rules,
            suppressions=plan.suppressions,
            describe=from_line_model(),
            warnings=[*info.extra.get("warnings", ()), *plan.damage[1:]],
        ),
        left.header,
        left.findings,
        plan.locator,
        frames=left.frames,
        failure=None if interrupted else cut,
        interrupted=interrupted,
    )


def _put_counters(header: RunHeader, info: Info) -> None:
    """Let the header say what the machine did, not only what was kept of it."""
    header.started = 1
    header.midr, header.ctr, header.clidr = (
        info.machine.midr,
        info.machine.ctr,
        info.machine.clidr,
    )
    for name in ("instructions", "accesses", "fetches", "walks"):
        if name in info.counters:
            counters = getattr(header, name)
            for pe in range(len(counters)):
                counters[pe] = 0
            counters[0] = info.counters[name]
    for spelling, count in info.counters.get("maintenance", {}).items():
        if spelling in BY_SPELLING:
            header.maintenance[BY_SPELLING[spelling]] = count
