"""`pocwatch view`: a report or a trace in the terminal."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--suppressions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Findings that are accepted (TOML): they are marked, and `s` appends to it. Default: "
    "pocwatch-suppressions.toml.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where `o` looks for source files that are named relative to their build. Default: the "
    "current directory. Repeatable.",
)
@click.option(
    "--platform",
    metavar="NAME|FILE",
    help="Of a trace: the caches to show its states for. Default: the first that it was recorded for.",
)
def command(
    file: Path, suppressions: Path | None, sources: tuple[Path, ...], platform: str | None
) -> int:
    """Look at a report or a trace in the terminal: findings, events, cache states, rules.

    FILE is what `pocwatch run --json` wrote, or a trace. Keys are those of less, vi and mutt:
    j k l h move, / searches, ? lists the others; the mouse works, too. Needs the extra `view`
    (Textual).

    \b
    Examples:
      pocwatch view report.json
      pocwatch view --suppressions accepted.toml report.json

    Exit codes: 0 looked at, 2 bad input, or no terminal.
    """
    from pocwatch.tui import opening

    return opening.view(file, suppressions, sources, platform)
