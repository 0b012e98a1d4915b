"""The values that the page draws from, and the page as text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from any_report import REPORT
from hypothesis import HealthCheck, given, settings

from pocwatch import platforms
from pocwatch.line.table import automaton_of
from pocwatch.report import load
from pocwatch.report.html import data, layout, page
from pocwatch.report.html.sources import AROUND, Sources
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.symbols.lines import SourceLine

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "dropped.json"


def embedded(text: str) -> dict[str, object]:
    """The data of a page, as a browser finds it: up to the first end of the element."""
    begin = '<script type="application/json" id="data">'
    found = text[text.index(begin) + len(begin) :]
    value = json.loads(found[: found.index("</script>")])
    assert isinstance(value, dict)
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REPORT)
def test_any_report_becomes_a_page(report: Report) -> None:
    """Also one whose states are of no platform, and whose names are anything."""
    text = page.render(report)
    text.encode()
    value = embedded(text)
    assert len(value["findings"]) == len(report.findings)  # type: ignore[arg-type]
    assert text.count("</script>") == 2


def test_nothing_in_the_page_is_an_address() -> None:
    text = page.render(load.load(EXAMPLE))
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'\s]""", text)
    assert set(re.findall(r"https?://[^\s'\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text.replace("url(#", "")


def test_what_findings_share_is_kept_once() -> None:
    """A thousand findings of one cause: their texts and steps are those of one."""
    report = load.load(EXAMPLE)
    found = report.findings[0]
    many = [replace(found, access=replace(found.access, va=n)) for n in range(1000)]
    one, all_of_them = (data.data(replace(report, findings=f)) for f in ([found], many))
    for shared in ("texts", "situations", "steps"):
        assert one[shared] == all_of_them[shared]


def test_steps_say_what_a_rule_took_away() -> None:
    value = data.data(load.load(EXAMPLE))
    steps = [step for step in value["steps"] if step["role"] == "missing"]
    assert steps
    assert {(step["asked"], step["fate"]) for step in steps} == {("dc civac", "dropped")}


@pytest.mark.parametrize("name", platforms.names())
def test_states_lie_in_rows_by_what_may_go_wrong(name: str) -> None:
    automaton = automaton_of(platforms.load(name))
    spots = layout.spots(automaton)
    assert len(set(spots)) == automaton.states
    assert all(0 <= spot.column <= layout.COLUMNS - 1 for spot in spots)
    order = ["fresh", "stale", "lost"]
    worst = [order.index(layout.severity(automaton, s)) for s in range(automaton.states)]
    by_row = sorted((spot.row, worse) for spot, worse in zip(spots, worst, strict=True))
    assert [worse for _, worse in by_row] == sorted(worse for _, worse in by_row)


def test_source_is_read_where_it_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("".join(f"line {n}\n" for n in range(1, 21)))
    found = Sources().around(SourceLine("a.c", 10, str(tmp_path)))
    assert found[0] == (10 - AROUND, f"line {10 - AROUND}")
    assert found[AROUND] == (10, "line 10")
    assert len(found) == 2 * AROUND + 1


def test_source_of_another_build_is_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.c").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path)
    assert Sources().around(SourceLine("a.c", 1, "/nowhere")) == [(1, "one"), (2, "two")]


@pytest.mark.parametrize(
    "place",
    [
        SourceLine("none.c", 1, "/nowhere"),
        SourceLine("a.c", 3, ""),
        SourceLine(".", 1, ""),
        SourceLine("a\0b", 1, ""),
    ],
    ids=["not there", "shorter", "a folder", "no name of a file"],
)
def test_source_that_cannot_be_read_is_left_out(
    place: SourceLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.c").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path)
    assert Sources().around(place) == []
