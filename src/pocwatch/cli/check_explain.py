"""`pocwatch check explain`: one cell of the matrix, told."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pocwatch.cli import complete
from pocwatch.cli.options import color, fwb_fetches, icache, max_seconds, max_states


@click.command("explain", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", metavar="SCENARIO", shell_complete=complete.scenarios)
@click.argument("policy", metavar="POLICY", shell_complete=complete.policies)
@click.option(
    "--platform", "name", default="xgene-l3", show_default=True, metavar="NAME|FILE.toml",
    shell_complete=complete.platforms, help="The caches.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The story as JSON.")
@click.option("--dot", "dot_file", metavar="FILE", help="Draw it, for Graphviz; - is standard output.")
@click.option("--svg", "svg_file", metavar="FILE", help="Draw it; - is standard output.")
@max_states
@max_seconds
@icache
@fwb_fetches
@color
def explain(
    scenario: str,
    policy: str,
    name: str,
    as_json: bool,
    dot_file: str | None,
    svg_file: str | None,
    max_states: int | None,
    max_seconds: float | None,
    icache: str | None,
    fwb_fetches: str,
    color: str,
) -> int:
    """Tell how a policy goes wrong in a scenario, or what was proved.

    The table has a column per agent and what the caches hold after each row, along one legal run of
    the hardware that ends in the stale read; then whose data that gets, why the maintenance done is not
    enough, the rules of the architecture, and a repair that was checked.

    SCENARIO and POLICY are names, or Python files that define one.

    \b
    Examples:
      pocwatch check explain boot-image pou-on-fault
      pocwatch check explain swap my_policy.py --platform cortex-a57
      pocwatch check explain page-recycle xen-2014 --svg leak.svg

    Exit codes: 0 safe or not applicable, 1 unsafe, leaking or unknown, 2 bad input.
    """
    from pocwatch.cli import authored, cells, terminal
    from pocwatch.kvm.guest import Stage2
    from pocwatch.kvm.policy import PolicyError
    from pocwatch.kvm.scenario import ScenarioError
    from pocwatch.kvm.story.telling import tell
    from pocwatch.kvm.verdict import Word, decide
    from pocwatch.platforms import ICache
    from pocwatch.report import story_dot, story_json, story_text
    from pocwatch.sanitizer.errors import UsageError

    forced = Stage2.FORCED if fwb_fetches == "forced" else Stage2.FORCED_DATA
    options = cells.Options(ICache(icache) if icache else None, forced, max_states, max_seconds)
    parts = authored.scenario(scenario), authored.policy(policy), cells.platform_of(name, options)
    try:
        result = decide(
            *parts, forced=forced, max_states=max_states, max_seconds=max_seconds
        )
        told = tell(result, *parts, forced)
    except (PolicyError, ScenarioError) as error:
        raise UsageError(str(error)) from None
    if dot_file is not None:
        _written("--dot", dot_file, story_dot.dot(told))
    if svg_file is not None:
        from pocwatch.cli.graphviz import svg

        _written("--svg", svg_file, svg(story_dot.dot(told), "--svg", "--dot FILE"))
    if as_json:
        click.echo(json.dumps(story_json.json_value(told), indent=1))
    elif "-" not in (dot_file, svg_file):
        coloured = terminal.coloured(color)
        paint = _paint if coloured else story_text.plain
        click.echo(story_text.text(told, paint), nl=False, color=coloured)
    return 0 if result.verdict in (Word.SAFE, Word.NOT_APPLICABLE) else 1


def _paint(text: str, role: str) -> str:
    styles = {"bad": {"fg": "red"}, "good": {"fg": "green"}, "head": {"bold": True}}
    return click.style(text, **styles.get(role, {"dim": True}))  # type: ignore[arg-type]


def _written(option: str, path: str, text: str) -> None:
    from pocwatch.sanitizer.errors import UsageError

    if path == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be written: {error.strerror}") from None
