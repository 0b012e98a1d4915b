"""`pocwatch doctor`: what is there, what is missing, and the command that cures it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from pocwatch.cli import complete
from pocwatch.cli.options import color

if TYPE_CHECKING:
    from pocwatch.doctor.record import Check

_COLUMN = 18
_WIDTH = 100
_COLOURS = {"works": "green", "missing": "red", "optional-missing": "yellow"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option(
    "--qemu", "program", default="qemu-system-aarch64", show_default=True, metavar="PROGRAM",
    shell_complete=complete.files, help="The QEMU to look at.",
)  # fmt: skip
@click.option(
    "--symbols", "symbols", multiple=True, metavar="[NAME[@ADDRESS]=]FILE",
    help="A file for `run --symbols`: can names be read from it? Repeatable.",
)  # fmt: skip
@click.option(
    "--kernel", type=click.Path(path_type=Path), metavar="FILE",
    help="A file for QEMU's -kernel: has it names?",
)  # fmt: skip
@color
def command(
    as_json: bool, program: str, symbols: Sequence[str], kernel: Path | None, color: str
) -> int:
    """Say what pocwatch needs of this computer, what is missing, and how to get it.

    Runs a machine of eleven instructions that must have one finding. Each line says what is there and
    what it is for; where something is missing, the command that cures it (Debian 12 and 13).

    \b
    Examples:
      pocwatch doctor
      pocwatch doctor --kernel Image --symbols guest=guest/vmlinux
      pocwatch doctor --qemu /opt/qemu/bin/qemu-system-aarch64 --json

    Exit codes: 0 `run` works, 1 something that it needs is missing, 2 bad input.
    """
    from pocwatch.cli import terminal
    from pocwatch.doctor import examine
    from pocwatch.doctor.record import all_work

    found = examine.all_checks(program, symbols, kernel)
    if as_json:
        click.echo(json.dumps(_json(found), indent=1))
    else:
        coloured = terminal.coloured(color)
        click.echo("\n".join(_text(found, coloured)), color=coloured)
    return 0 if all_work(found) else 1


def _json(found: Sequence[Check]) -> dict[str, object]:
    from pocwatch.doctor.record import all_work

    return {
        "works": all_work(found),
        "checks": [
            {
                "name": check.name,
                "state": check.state.value,
                "found": check.found,
                "why": check.why,
                "cure": check.cure,
            }
            for check in found
        ],
    }


def _text(found: Sequence[Check], coloured: bool) -> Iterator[str]:
    from pocwatch.doctor.record import State, all_work

    for check in found:
        word = check.state.value.ljust(_COLUMN)
        shown = click.style(word, fg=_COLOURS[check.state.value]) if coloured else word
        first, *rest = wrap(f"{check.name}: {check.found}", _WIDTH - _COLUMN, break_on_hyphens=False)
        yield shown + first
        yield from (" " * (_COLUMN + 2) + line for line in rest)
        yield from (
            " " * (_COLUMN + 2) + line
            for line in wrap(f"for {check.why}", _WIDTH - _COLUMN, break_on_hyphens=False)
        )
        if check.cure is not None:  # one line, to be copied
            yield " " * (_COLUMN + 2) + f"cure: {check.cure}"
    missing = [check.name for check in found if check.state is State.MISSING]
    yield ""
    yield (
        "pocwatch run works" if all_work(found) else f"pocwatch run needs: {', '.join(missing)}"
    )
