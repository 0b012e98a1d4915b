"""Options that several commands have."""

from __future__ import annotations

import click

from pocwatch.cli.terminal import WHEN

_ICACHES = ("pipt", "vipt", "vpipt", "aivivt")

icache = click.option(
    "--icache", type=click.Choice(_ICACHES), help="The instruction cache. Default: the platform's."
)
fwb_fetches = click.option(
    "--fwb-fetches", type=click.Choice(["forced", "unforced"]), default="forced", show_default=True,
    help="Whether FEAT_S2FWB forces instruction fetches as well: the Arm ARM can be read either way.",
)  # fmt: skip
max_states = click.option(
    "--max-states", type=click.IntRange(1), help="Stop a cell there: its verdict is then unknown."
)
max_seconds = click.option("--max-seconds", type=click.FloatRange(0), help="The same, by time.")
color = click.option(
    "--color", type=click.Choice(WHEN), default="auto", show_default=True,
    help="Colours: auto is on a terminal, unless NO_COLOR is set.",
)  # fmt: skip


def split(_ctx: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Return the parts of a repeatable option that takes lists with commas, each once."""
    return list(dict.fromkeys(part for given in value for part in given.split(",") if part))
