"""`pocwatch synth`: the cheapest policies that are safe, found and proved."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pocwatch.cli import complete
from pocwatch.cli.options import split

if TYPE_CHECKING:
    from pocwatch.cli.terminal import StatusLine
    from pocwatch.cost.policies import PolicyCosts
    from pocwatch.kvm.synth.judge import Judge
    from pocwatch.kvm.synth.search import Search
    from pocwatch.report.synthesis import Reference, Synthesis

_OF_USER_SPACE = "at_user_space_write"
_IN_A_HURRY = 2000  # states of a scenario, when time is up
_REFERENCES = ("fwb-dic", "fwb", "mainline-2021")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--platform", "name", metavar="NAME|FILE.toml", default="xgene-l3", show_default=True,
    shell_complete=complete.platforms, help="The caches.",
)  # fmt: skip
@click.option(
    "--scenarios", multiple=True, callback=split, metavar="NAME[,…]",
    shell_complete=complete.scenarios,
    help="Situations to be safe in. Default: all but those that no policy of the space is safe in.",
)  # fmt: skip
@click.option(
    "--user-space", is_flag=True, help="Let user space do maintenance, too, whenever it writes."
)
@click.option(
    "--costs", "cost_set", metavar="NAME|FILE.toml", default="default", show_default=True,
    shell_complete=complete.cost_sets, help="What operations cost.",
)  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help="Write the result; - is standard output.")
@click.option(
    "--jobs", type=click.IntRange(1),
    help="Processes that judge the front. Default: as many as there are CPUs.",
)  # fmt: skip
@click.option(
    "--max-seconds", type=click.FloatRange(0), metavar="SECONDS",
    help="Stop about there, with the best found so far.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    name: str,
    scenarios: Sequence[str],
    user_space: bool,
    cost_set: str,
    json_file: str | None,
    jobs: int | None,
    max_seconds: float | None,
    quiet: bool,
) -> int:
    """Search for the cheapest cache-cleaning policies that are safe.

    Prints the Pareto front of time, cleaned lines and exits over a VM's life; for each part of each
    policy the scenario that forbids leaving it out; and how Linux's policy compares.

    \b
    Examples:
      pocwatch synth
      pocwatch synth --scenarios boot-image,swap --json front.json
      pocwatch synth --platform fwb --max-seconds 60

    Exit codes: 0 found, 1 none found, 2 bad input.
    """
    from pocwatch.cli.output import refuse_unwritable, write_json
    from pocwatch.cli.platform_option import load_platform
    from pocwatch.cli.terminal import StatusLine
    from pocwatch.cost import model
    from pocwatch.cost.policies import PolicyCosts
    from pocwatch.kvm.guest import Stage2
    from pocwatch.kvm.policy import HOOKS
    from pocwatch.kvm.scenarios import SCENARIOS
    from pocwatch.kvm.synth import space
    from pocwatch.kvm.synth.judge import Judge
    from pocwatch.report import synthesis, synthesis_json

    platform = load_platform(name)
    costs = PolicyCosts(model.load(cost_set), platform)
    wanted = _known(scenarios)
    refuse_unwritable(json_file)
    hooks = [hook for hook in HOOKS if user_space or hook != _OF_USER_SPACE]
    judge = Judge(
        space.of(platform, hooks=hooks), [SCENARIOS[name] for name in wanted], Stage2.FORCED
    )
    live = StatusLine(enabled=not quiet)
    try:
        jobs = jobs or os.cpu_count() or 1
        found = _found(judge, costs, wanted, bool(scenarios), jobs, max_seconds, live)
    finally:
        live.clear()
    if not write_json(json_file, lambda: synthesis_json.json_value(found)):
        click.echo(synthesis.text(found), nl=False)
    return 0 if found.front else 1


def _known(scenarios: Sequence[str]) -> list[str]:
    """Return the scenarios asked for, in the order in which they are tried. Raises UsageError."""
    import difflib

    from pocwatch.kvm.scenarios import SCENARIOS
    from pocwatch.sanitizer.errors import UsageError

    for name in scenarios:
        if name not in SCENARIOS:
            close = difflib.get_close_matches(name, SCENARIOS, 3, 0.4)
            hint = f"near matches: {', '.join(close)}" if close else "accepted: " + ", ".join(SCENARIOS)
            raise UsageError(f"--scenarios: there is no scenario {name!r}; {hint}")
    return [name for name in SCENARIOS if not scenarios or name in scenarios]


def _found(
    judge: Judge,
    costs: PolicyCosts,
    wanted: Sequence[str],
    given: bool,
    jobs: int,
    max_seconds: float | None,
    live: StatusLine,
) -> Synthesis:
    from pocwatch.kvm.guest import Stage2
    from pocwatch.kvm.synth import confirm
    from pocwatch.kvm.synth.conflicts import survey
    from pocwatch.kvm.synth.explain import PATIENCE, explained
    from pocwatch.kvm.synth.search import OutOfTime, Progress, Search
    from pocwatch.report.synthesis import Synthesis

    start = time.monotonic()
    def say(what: str) -> None:
        live.say(f"pocwatch: {what}")

    def update(so_far: Progress) -> None:
        say(
            f"{so_far.refutations} refutations, {so_far.runs} explorations, front: {so_far.front}"
        )

    say("looking at policies that do everything")
    seen = survey(judge, wanted)
    leave = frozenset() if given else seen.left_out()
    names = [name for name in wanted if name not in leave]
    if given:
        left_out = [(name, "no policy of the space is safe there") for name in seen.hopeless]
        left_out += [(" and ".join(p), "no policy is safe in both") for p in seen.pairs()]
    else:
        alone = "no policy of the space is safe there"
        left_out = [
            (n, alone if n in seen.hopeless else "no policy is safe there and in all the others")
            for n in wanted
            if n in leave
        ]
    search = Search(judge, costs, names, max_seconds=max_seconds, progress=update)
    complete = confirmed = False
    try:
        deadline = None if max_seconds is None else start + max_seconds
        confirm.run(search, names, Stage2.FORCED, jobs, deadline, say)
        complete = confirmed = True
    except OutOfTime:
        pass
    say("asking what forbids leaving parts out")
    front = [
        explained(search, found.candidate, names, PATIENCE if complete else _IN_A_HURRY)
        for found in sorted(search.front, key=lambda found: found.costs)
    ]
    return Synthesis(
        judge.space,
        costs,
        names,
        left_out,
        front,
        complete,
        confirmed,
        search.judged,
        judge.runs,
        len(search.refutations),
        time.monotonic() - start,
        _reference(search, names, complete),
    )


def _reference(search: Search, names: Sequence[str], in_full: bool) -> Reference | None:
    """Return what mainline does on the platform, and whether it is safe."""
    from pocwatch.cost.policies import Axes
    from pocwatch.kvm.policies import POLICIES
    from pocwatch.kvm.synth.explain import placed, refuting
    from pocwatch.report.synthesis import Reference

    for name in _REFERENCES:
        policy = POLICIES[name]
        if policy.why_not(search.space.platform, "") is None:
            candidate = placed(policy, search.space)
            if candidate is None:
                return None
            limit = None if in_full else _IN_A_HURRY
            refuted, judged = refuting(search.judge, candidate, names, limit)
            return Reference(name, candidate, Axes(*search.cost(candidate)), refuted, judged)
    return None
