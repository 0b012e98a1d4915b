"""The user's editor at a line of a file."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pocwatch.tui.source import Place


class EditorError(Exception):
    """Nothing could be opened; the message is one line for the status line."""


def find(file: str, roots: Sequence[Path]) -> Path | None:
    """Return a file that DWARF names: as it is, or below one of the directories, None if nowhere."""
    return next((path for root in roots if (path := root / file).is_file()), None)


def command(place: Place, roots: Sequence[Path]) -> list[str]:
    """Return the command that shows a place. Raise EditorError when something for it is missing."""
    if place.file is None:
        raise EditorError(place.missing)
    found = find(place.file, roots)
    where = f"{place.file}:{place.line}"
    if found is None:
        raise EditorError(f"{where}: no such file in {roots[0]}; give its tree: --source DIR")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise EditorError(f"{where} (set VISUAL or EDITOR to open it)")
    try:
        words = shlex.split(editor)
    except ValueError:
        words = []
    if not words or shutil.which(words[0]) is None:
        raise EditorError(f"the editor {editor!r} of $VISUAL or $EDITOR is not to be found")
    # `+LINE FILE` is understood by vi, emacs, nano, joe, less and their kin; the others have their own.
    name = Path(words[0]).name
    if name in ("code", "codium"):
        return [*words, "--wait", "--goto", f"{found}:{place.line}"]
    if name in ("hx", "helix", "subl", "zed", "micro"):
        return [*words, f"{found}:{place.line}"]
    return [*words, f"+{place.line}", str(found)]


def show(words: list[str]) -> None:
    """Run the editor until it ends. Raise EditorError when it fails."""
    try:
        code = subprocess.run(words, check=False).returncode
    except OSError as error:
        raise EditorError(f"{words[0]}: cannot be run ({error.strerror})") from None
    if code:
        raise EditorError(f"{words[0]} ended with exit code {code}")
