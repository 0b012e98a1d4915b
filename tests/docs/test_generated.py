"""Computed parts of the documentation are what the code says now."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from pages import all_pages, generator, page_id

generate = generator()
ANEW = "stale: run `python docs/generate.py`"


@pytest.mark.parametrize("page", all_pages(), ids=page_id)
def test_generated_parts_are_fresh(page: Path) -> None:
    text = page.read_text()
    assert generate.rendered(text) == text, f"{page_id(page)} is {ANEW}"


def test_every_part_is_shown_somewhere() -> None:
    shown = set(
        re.findall(r"<!-- generated: ([\w -]+) -->", "".join(map(Path.read_text, all_pages())))
    )
    assert shown == set(generate.PARTS)


def _flat(label: str) -> str:
    return "".join(label.split())


def test_the_drawing_is_fresh() -> None:
    """Same nodes and edges with the same labels; where they lie depends on graphviz's version."""
    wanted = sorted(
        _flat(label.replace("\\n", ""))
        for label in re.findall(r'label="((?:[^"\\]|\\.)*)"', generate.dot())
    )
    text = generate.DRAWING.read_text()
    groups = re.findall(r'<g id="(?:node|edge|graph)\d+".*?(?=<g id=|</svg>)', text, re.DOTALL)
    drawn = sorted(
        _flat(html.unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", group))))
        for group in groups
    )
    assert drawn == wanted, f"{generate.DRAWING.name} is {ANEW}"


@pytest.mark.parametrize("name", sorted(generate.the_bench.pictures()))
def test_pictures_of_the_bench_are_fresh(name: str) -> None:
    """What is written on them."""
    wanted = generate.labels(generate.the_bench.pictures()[name])
    assert generate.labels((generate.DOCS / name).read_text()) == wanted, f"{name} is {ANEW}"


def test_a_part_that_is_not_fresh_is_seen() -> None:
    text = "<!-- generated: states -->\nold\n<!-- end generated -->"
    assert generate.rendered(text) != text
