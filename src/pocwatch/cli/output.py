"""`--json FILE` of commands that compute for long: refused before, not after."""

from __future__ import annotations

import os
from pathlib import Path

from pocwatch.sanitizer.errors import UsageError


def refuse_unwritable(json_file: str | None) -> None:
    """Raise UsageError before anything is computed that could not be kept."""
    if json_file is None or json_file == "-":
        return
    folder = Path(json_file).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(json_file).is_dir():
        raise UsageError(f"--json {json_file}: it cannot be written: is {folder} a writable folder?")
