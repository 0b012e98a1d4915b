"""A platform written down as its file's keys is that platform again."""

from __future__ import annotations

import pytest

from pocwatch import platforms
from pocwatch.platforms import definition


@pytest.mark.parametrize("name", platforms.names())
def test_shipped_platforms(name: str) -> None:
    platform = platforms.load(name)
    assert platforms.of_table(definition.table(platform), name) == platform


@pytest.mark.parametrize("pes", [1, 4])
@pytest.mark.parametrize("idc", [False, True])
def test_what_the_cpu_says_of_itself(pes: int, idc: bool) -> None:
    platform = platforms.auto("cortex-a57", pes, idc=idc, dic=True)
    assert platforms.of_table(definition.table(platform), "auto") == platform


def test_no_unified_level() -> None:
    text = 'pes = 2\nfirst_unified = "memory"\nicache = "vipt"\n[[levels]]\nname = "L1D"\nways = 2'
    platform = platforms.parse(text, "mine")
    assert definition.table(platform)["first_unified"] == "memory"
    assert platforms.of_table(definition.table(platform), "mine") == platform
