"""A story as text: the golden one, 100 columns, nothing left out, no colour unless asked for."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from pocwatch import platforms
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.story.rows import Story
from pocwatch.kvm.story.telling import tell
from pocwatch.kvm.verdict import decide
from pocwatch.report import story_text
from pocwatch.report.story_rows import contents, places, shown

HERE = Path(__file__).parent
CELLS = (
    ("boot-image", "pou-on-fault", "xgene-l3"),
    ("page-recycle", "xen-2014", "xgene-l3"),
    ("dma-bootloader", "none", "xgene-l3"),
    ("icache-isolation", "mainline-2015", "cortex-a53"),
    ("swap", "mainline-2014", "cortex-a57"),
)


@functools.cache
def story(scenario: str, policy: str, platform: str) -> Story:
    parts = SCENARIOS[scenario], POLICIES[policy], platforms.load(platform)
    return tell(decide(*parts, max_states=2_000), *parts)


def test_golden() -> None:
    """Reviewed by hand; how many states a proof takes is not part of it."""
    shown = story_text.text(story("boot-image", "pou-on-fault", "xgene-l3"))
    shown = re.sub(r"proved over [\d,]+ states", "proved over N states", shown)
    assert shown == (HERE / "boot-image-pou-on-fault.golden.txt").read_text()


@pytest.mark.parametrize("cell", CELLS)
def test_it_fits_and_says_everything(cell: tuple[str, str, str]) -> None:
    told = story(*cell)
    lines = story_text.text(told).splitlines()
    table = lines[lines.index("-" * story_text.WIDTH) :]
    word = next(line for line in lines if "pocwatch line --platform" in line)
    assert all(len(line) <= story_text.WIDTH for line in lines if line != word)
    assert "\x1b" not in "".join(lines)
    said = re.sub(r"\s+", "", "".join(table))
    for row in told.rows:
        if row.agent != "caches":
            assert re.sub(r"\s+", "", row.event.split()[0]) in said
    groups = shown(told)
    assert [row for group in groups for row in group.rows] == list(told.rows)
    assert sum(line.startswith("X ") for line in table) == 2, "the row, and what is said of it"
    assert told.remedy is not None
    assert told.remedy.rows
    marks = [line for line in table if ">> " in line]
    assert len(marks) == len(told.remedy.rows)


@pytest.mark.parametrize("cell", CELLS)
def test_joined_rows_change_nothing(cell: tuple[str, str, str]) -> None:
    for group in shown(story(*cell)):
        assert len({(row.agent, row.picture) for row in group.rows}) == 1
        assert len({row.mark for row in group.rows}) == 1


def test_contents_by_hand() -> None:
    """The zeroes of row 2 and the image of row 3: dirty in L1D, then in L2; memory as it was."""
    told = story("boot-image", "pou-on-fault", "xgene-l3")
    assert places(told) == ["L1D", "L2", "L3", "memory"]
    drawn = {row.event.split(";")[0]: contents(told, row.picture) for row in told.rows}
    assert drawn["zeroes a new page"] == ["d*2", "·", "·", "-0"]
    assert drawn["writes guest RAM"] == ["d*3", "·", "·", "-0"]
    assert drawn["dc cvau"] == ["c*3", "d*3", "·", "-0"]


def test_colours_are_the_callers() -> None:
    told = story("boot-image", "pou-on-fault", "xgene-l3")
    painted = story_text.text(told, lambda text, role: f"<{role}>{text}</{role}>")
    assert "<bad>unsafe</bad>" in painted
    bare = re.sub(r"</?(bad|good|faint|head)>", "", painted)
    assert [line.rstrip() for line in bare.splitlines()] == story_text.text(told).splitlines()


def test_a_repair_that_was_not_found() -> None:
    """By VA nothing reaches this outer cache, and it would have to be done in several places."""
    told = story("swap", "mainline-2014", "l2x0-up")
    assert told.remedy is None
    assert "None of the additions tried" in story_text.text(told)


def test_what_is_said_without_a_counterexample() -> None:
    safe = " ".join(story_text.text(story("boot-image", "mainline-2021", "xgene-l3")).split())
    assert "states that can be reached were visited" in safe
    assert "one page of guest RAM stands for all" in safe
    none = story_text.text(story("boot-image", "fwb", "xgene-l3"))
    assert "does not apply here: xgene-l3 has no FEAT_S2FWB." in none
    unknown = story_text.text(story("anything", "mainline-2021", "xgene-l3"))
    assert "Not known" in unknown
