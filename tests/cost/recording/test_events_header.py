"""The checked-in C header is what its source says."""

from __future__ import annotations

from pathlib import Path

from pocwatch.cost.recording import cheader


def test_fresh() -> None:
    path = Path(__file__).parents[3] / "src" / "pocwatch" / "cost" / "recording" / "events.h"
    assert path.read_text() == cheader.c_header(), "run python -m pocwatch.cost.recording.cheader"
