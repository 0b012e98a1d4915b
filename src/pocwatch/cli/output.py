"""What commands that compute for long write: refused before, not after."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pocwatch.sanitizer.errors import UsageError


def refuse_unwritable(json_file: str | None) -> None:
    """Raise UsageError before anything is computed that could not be kept."""
    if json_file is None or json_file == "-":
        return
    folder = Path(json_file).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(json_file).is_dir():
        raise UsageError(f"--json {json_file}: it cannot be written: is {folder} a writable folder?")


def write_json(json_file: str | None, value: Callable[[], Any]) -> bool:
    """Write what `value` returns where `--json` says; return whether that was standard output.

    What is for people then has no place there.
    """
    if not json_file:
        return False
    text = json.dumps(value(), indent=1)
    if json_file == "-":
        click.echo(text)
        return True
    Path(json_file).write_text(text + "\n")
    return False
