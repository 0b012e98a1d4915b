"""The checked-in C headers are what their sources say."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.cost.cachesim import cheader


@pytest.mark.parametrize(
    ("name", "made"),
    [("stream.h", cheader.stream_header), ("generated.h", cheader.c_header)],
)
def test_fresh(name: str, made: object) -> None:
    assert callable(made)
    path = Path(__file__).parents[3] / "src" / "pocwatch" / "cost" / "cachesim" / name
    assert path.read_text() == made(), "run python -m pocwatch.cost.cachesim.cheader"
