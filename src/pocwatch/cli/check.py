"""`pocwatch check`: cache-cleaning policies against scenarios, proved or refuted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pocwatch.cli import complete
from pocwatch.cli.check_explain import explain
from pocwatch.cli.options import color, fwb_fetches, icache, max_seconds, max_states, split

if TYPE_CHECKING:
    from pocwatch.kvm.verdict import Result, Word


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--scenario", "scenarios", multiple=True, callback=split, metavar="NAME|FILE.py[,…]",
    shell_complete=complete.scenarios, help="Situations to judge in. Default: all shipped.",
)  # fmt: skip
@click.option(
    "--policy", "policies", multiple=True, callback=split, metavar="NAME|FILE.py[,…]",
    shell_complete=complete.policies, help="Designs to judge. Default: all shipped.",
)  # fmt: skip
@click.option(
    "--platform", "names", multiple=True, callback=split, metavar="NAME|FILE.toml[,…]",
    shell_complete=complete.platforms, help="The caches. Default: all shipped.",
)  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help="Write the results; - is standard output.")
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="all CPUs",
    help="Processes to use.",
)  # fmt: skip
@max_states
@max_seconds
@icache
@fwb_fetches
@click.option(
    "--export", "language", type=click.Choice(["promela", "murphi"]),
    help="Judge nothing: write one cell, its caches written out, for SPIN or for rumur.",
)  # fmt: skip
@click.option("--out", "out_file", metavar="FILE", help="Where to. Default: standard output.")
@color
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def command(
    ctx: click.Context,
    scenarios: Sequence[str],
    policies: Sequence[str],
    names: Sequence[str],
    json_file: str | None,
    jobs: int,
    max_states: int | None,
    max_seconds: float | None,
    icache: str | None,
    fwb_fetches: str,
    language: str | None,
    out_file: str | None,
    color: str,
    quiet: bool,
) -> int:
    """Prove or refute cache-cleaning policies of a hypervisor.

    Prints the matrix of policies and scenarios, for each platform. Safe is a proof over all legal
    behaviours of the caches and all interleavings; unsafe comes with the shortest counterexample.

    \b
    Examples:
      pocwatch check
      pocwatch check --platform xgene-l3 --policy poc-on-fault,mainline-2021
      pocwatch check --scenario swap --policy my_policy.py --json results.json
      pocwatch check explain boot-image pou-on-fault
      pocwatch check --scenario swap --policy mainline-2015 --platform xgene-l3 --export promela

    Exit codes: 0 all safe or not applicable, 1 something unsafe, leaking or unknown, 2 bad input.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from pocwatch import platforms
    from pocwatch.cli import cells, check_export, terminal
    from pocwatch.cli.output import refuse_unwritable, write_json
    from pocwatch.kvm.guest import Stage2
    from pocwatch.kvm.policies import POLICIES
    from pocwatch.kvm.scenarios import SCENARIOS
    from pocwatch.kvm.verdict import Word
    from pocwatch.platforms import ICache
    from pocwatch.report import check_json, check_text

    options = cells.Options(
        icache=ICache(icache) if icache else None,
        forced=Stage2.FORCED if fwb_fetches == "forced" else Stage2.FORCED_DATA,
        max_states=max_states,
        max_seconds=max_seconds,
    )
    wanted = cells.cells(
        scenarios or list(SCENARIOS), policies or list(POLICIES), names or platforms.names(), options
    )
    if language is not None or out_file is not None:
        check_export.export(wanted, language, out_file, json_file)
        return 0
    refuse_unwritable(json_file)
    found: list[Result] = []
    live = terminal.StatusLine(enabled=not quiet)

    def on_result(result: Result) -> None:
        found.append(result)
        live.say(
            f"pocwatch: {len(found)}/{len(wanted)} cells, last {result.scenario} × {result.policy} "
            f"on {result.platform}"
        )

    interrupted = False
    try:
        results = cells.judge_all(wanted, min(jobs, len(wanted)), on_result)
    except KeyboardInterrupt:
        interrupted = True
        results = found
    live.clear()
    complete = not interrupted
    if not write_json(json_file, lambda: check_json.json_value(results, complete=complete)):
        coloured = terminal.coloured(color)
        paint = _paint if coloured else check_text.plain
        missing = len(wanted) - len(results)
        text = check_text.text(results, missing, cells.hints(wanted), paint)
        click.echo(text, nl=False, color=coloured)
    _tell_idle(results, wanted)
    if interrupted:
        raise KeyboardInterrupt
    good = all(result.verdict in (Word.SAFE, Word.NOT_APPLICABLE) for result in results)
    return 0 if good else 1


command.add_command(explain)


def _tell_idle(results: Sequence[Result], wanted: Sequence[object]) -> None:
    """Say which of the user's policies never did anything in what was judged."""
    from pocwatch.cli import authored, cells
    from pocwatch.kvm.verdict import Word

    acted = {r.policy for r in results if r.acted and r.verdict is not Word.NOT_APPLICABLE}
    judged = {r.policy for r in results if r.verdict is not Word.NOT_APPLICABLE}
    references = {c.policy for c in wanted if isinstance(c, cells.Cell)}
    for reference, name in sorted(references):
        if reference.endswith(".py") and name in judged - acted:
            made = next(p for p in authored.policies_of(reference) if p.name == name)
            click.echo(
                f"pocwatch: policy {name!r} ({authored.source_of(made)}) never did anything in these "
                "scenarios: none of its hooks returned an operation",
                err=True,
            )


def _paint(text: str, word: Word) -> str:
    colours = {"safe": "green", "unsafe": "red", "leak": "magenta", "unknown": "yellow"}
    return click.style(text, fg=colours.get(word.value))
