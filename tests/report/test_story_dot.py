"""A story as a drawing and as JSON: both say what the rows say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from test_story_text import CELLS, story

from pocwatch.kvm.story.rows import Mark
from pocwatch.report.story_dot import dot
from pocwatch.report.story_json import json_value
from pocwatch.report.story_rows import shown


@pytest.mark.parametrize("cell", CELLS)
def test_a_lane_per_agent_and_a_box_per_row(cell: tuple[str, str, str]) -> None:
    told = story(*cell)
    graph = dot(told)
    groups = shown(told)
    for lane, name in enumerate(told.agents):
        assert f'a{lane}_0 [label="{name}"' in graph
    boxes = re.findall(r'a(\d+)_(\d+) \[label="([\d-]+)  ', graph)
    assert [(told.agents[int(lane)], number) for lane, _, number in sorted(boxes, key=_row)] == [
        (group.agent, group.number) for group in groups
    ]
    assert len(re.findall(r"c_\d+ \[shape", graph)) == len(groups) + 1
    red = [line for line in graph.splitlines() if "penwidth" in line]
    assert len(red) == 1
    assert f'label="{told.rows[-1].number}  ' in red[0]


def _row(box: tuple[str, str, str]) -> int:
    return int(box[1])


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
@pytest.mark.parametrize("cell", [*CELLS, ("boot-image", "mainline-2021", "xgene-l3")])
def test_graphviz_takes_it(cell: tuple[str, str, str]) -> None:
    done = subprocess.run(
        ["dot", "-Tsvg"], input=dot(story(*cell)), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    drawing = "".join(ElementTree.fromstring(done.stdout).itertext())
    for agent in story(*cell).agents:
        assert agent in drawing


def test_texts_are_quoted() -> None:
    graph = dot(story("cow", "poc-on-fault", "xgene-l3"))
    for label in re.findall(r'label="((?:[^"\\]|\\.)*)"', graph):
        assert '"' not in label.replace('\\"', "")


@pytest.mark.parametrize("cell", CELLS)
def test_json(cell: tuple[str, str, str]) -> None:
    told = story(*cell)
    value = json.loads(json.dumps(json_value(told)))
    assert (value["scenario"], value["policy"], value["platform"]) == cell
    assert [row["row"] for row in value["rows"]] == list(range(1, len(told.rows) + 1))
    assert value["word"].split("; ") == [step for row in value["rows"] for step in row["steps"]]
    assert value["rows"][-1]["mark"] == Mark.STALE.value
    ending = value["ending"]
    held = value["rows"][-1]["caches"]
    place = next(name for name in held if name.endswith(ending["place"]))
    assert held[place] != "latest"
    assert held[place]["written_by"] == ending["got_row"]
    assert value["repair"]["proved_over_states"] > 0


def test_json_without_a_counterexample() -> None:
    value = json_value(story("boot-image", "mainline-2021", "xgene-l3"))
    assert value["verdict"] == "safe"
    assert "rows" not in value
