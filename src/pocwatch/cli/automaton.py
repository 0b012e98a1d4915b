"""`pocwatch automaton`: the line automaton of a platform, as a table or a drawing."""

from __future__ import annotations

import json

import click

from pocwatch.cli import complete

_FORMATS = ("table", "json", "dot", "markdown", "svg")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--platform", required=True, metavar="NAME|FILE", help="The caches.",
    shell_complete=complete.platforms,
)  # fmt: skip
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="table",
    show_default=True,
    help="svg needs the program `dot` (Debian package graphviz).",
)
def command(platform: str, form: str) -> int:
    """Show the line automaton of a platform.

    \b
    Examples:
      pocwatch automaton --platform cortex-a57
      pocwatch automaton --platform xgene-l3 --format svg > xgene-l3.svg
    """
    from pocwatch.cli.platform_option import load_platform
    from pocwatch.line import emit
    from pocwatch.line.table import automaton_of

    automaton = automaton_of(load_platform(platform))
    if form == "json":
        click.echo(json.dumps(emit.json_value(automaton), indent=1))
    elif form == "svg":
        from pocwatch.cli.graphviz import svg

        click.echo(svg(emit.dot(automaton), "--format svg", "--format dot"), nl=False)
    else:
        render = {"table": emit.text, "dot": emit.dot, "markdown": emit.markdown}[form]
        click.echo(render(automaton), nl=False)
    return 0
