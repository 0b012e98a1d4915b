"""Drawings, by the program `dot`."""

from __future__ import annotations

import shutil
import subprocess

from pocwatch.sanitizer.errors import UsageError


def svg(dot: str, asked: str, instead: str) -> str:
    """Return a graph drawn. Raise UsageError when Graphviz is not there: who `asked`, what `instead`."""
    if shutil.which("dot") is None:
        raise UsageError(
            f"{asked}: the program 'dot' is not installed; install graphviz, or use {instead}"
        )
    drawn = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True)
    return drawn.stdout
