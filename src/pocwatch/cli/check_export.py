"""`pocwatch check --export`: one cell of the matrix as a model for another checker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pocwatch.cli import cells
from pocwatch.kvm.export import cell
from pocwatch.kvm.export.concrete import ExportError
from pocwatch.kvm.export.murphi import murphi
from pocwatch.kvm.export.promela import promela
from pocwatch.kvm.policy import PolicyError
from pocwatch.kvm.scenario import ScenarioError
from pocwatch.sanitizer.errors import UsageError

WRITERS = {"promela": promela, "murphi": murphi}


def export(
    wanted: Sequence[cells.Cell], language: str | None, out_file: str | None, json_file: str | None
) -> None:
    """Write the one cell that the options give, to standard output without a file. Raises UsageError."""
    if language is None:
        raise UsageError(f"--out {out_file}: it is where --export writes to: give --export as well")
    if json_file is not None:
        raise UsageError(
            f"--json {json_file}: --export {language} judges nothing: leave one of them out"
        )
    if len(wanted) != 1:
        raise UsageError(
            f"--export {language}: it takes one cell, and these options give {len(wanted)}: name one "
            "--scenario, one --policy and one --platform"
        )
    text = _text(wanted[0], language)
    if out_file in (None, "-"):
        click.echo(text, nl=False)
        return
    assert out_file is not None
    try:
        Path(out_file).write_text(text)
    except OSError as error:
        raise UsageError(f"--out {out_file}: cannot be written: {error.strerror}") from None


def _text(wanted: cells.Cell, language: str) -> str:
    """Return the model, with what pocwatch finds in its head."""
    parts, options = cells.parts(wanted), wanted.options
    try:
        program = cell.program(*parts, options.forced)
        found = cell.expected(
            *parts,
            options.forced,
            max_states=options.max_states,
            max_seconds=options.max_seconds,
        )
        return WRITERS[language](cell.with_expected(program, found))
    except ExportError as error:
        raise UsageError(f"--export {language}: {error}") from None
    except (PolicyError, ScenarioError) as error:
        raise UsageError(str(error)) from None
