"""What options of several commands have in common."""

from __future__ import annotations

import click


def split(_ctx: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Return the parts of a repeatable option that takes lists with commas, each once."""
    return list(dict.fromkeys(part for given in value for part in given.split(",") if part))
