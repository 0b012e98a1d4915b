"""Pictures of a bench: what must be on them, the same bytes each time, and what is said without them."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from benches import bench

from pocwatch.report import bench_html
from pocwatch.report.plots import write


def texts(svg: str) -> str:
    root = ET.fromstring(svg)
    found = (e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text"))
    return "\n".join(found)


def drawn(name: str, **more: object) -> str:
    found = bench(**more)  # type: ignore[arg-type]
    (series,) = found.series
    return write.picture(write.drawings(series)[name], found, series, "svg").decode()


def test_cost_against_ram() -> None:
    said = texts(drawn("ram"))
    options = ("poc-on-fault", "clean-ram-at-first-run", "user-space")
    for wanted in ("guest RAM", "added time", "64M", *options):
        assert wanted in said
    assert "user-space is cheaper than poc-on-fault above" in said
    assert "dashed: unsafe" in said


def test_timeline_and_faults() -> None:
    said = texts(drawn("timeline"))
    for wanted in ("first guest instruction", "boot, MMU on", "poc-on-fault !", "pou-on-fault X", "1G"):
        assert wanted in said
    said = texts(drawn("faults"))
    for wanted in ("median", "99th percentile", "worst", "4 vCPUs on one 4K page"):
        assert wanted in said


def test_a_policy_that_does_nothing_can_be_drawn() -> None:
    found = bench("none", ram_mib=(64, 128))
    (series,) = found.series
    for draw in write.drawings(series).values():
        assert write.picture(draw, found, series, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("form", ["svg", "png"])
def test_pictures_are_the_same_each_time(form: str) -> None:
    found = bench("poc-on-fault", "user-space")
    (series,) = found.series
    draw = write.drawings(series)["ram"]
    assert write.picture(draw, found, series, form) == write.picture(draw, found, series, form)


def test_what_adds_nothing_is_told() -> None:
    found = bench("poc-on-fault", "fwb-dic", platform="fwb-dic")
    (series,) = found.series
    svg = write.picture(write.drawings(series)["ram"], found, series, "svg").decode()
    assert "adds nothing: fwb-dic" in texts(svg)


def test_files(tmp_path: Path) -> None:
    names = [p.name for p in write.write(bench("user-space"), tmp_path / "a.svg")]
    assert names == ["a.svg", "a-timeline.svg", "a-faults.svg"]
    names = [p.name for p in write.write(bench("user-space", ram_mib=(64,)), tmp_path / "b.png")]
    assert names == ["b.png", "b-faults.png"]
    two = bench("user-space", vcpus=(1, 2))
    names = ["c.svg", "c-timeline.svg", "c-faults.svg"]
    names += ["c-4K-2.svg", "c-4K-2-timeline.svg", "c-4K-2-faults.svg"]
    assert [p.name for p in write.write(two, tmp_path / "c.svg")] == names


def test_the_html_needs_nothing_else() -> None:
    page = bench_html.page(bench())
    HTMLParser().feed(page)
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#)', page.replace("xlink:href", "href"))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert "Assumed:" in page


def test_no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(write.NoPlotError, match=r"matplotlib is not .*: pip install 'pocwatch\[plot\]'"):
        write.require()
