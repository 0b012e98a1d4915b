"""The profile as a table, JSON and folded stacks; prices by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pocwatch.arch.ops import Op
from pocwatch.cost import model
from pocwatch.cost.quantity import Estimate
from pocwatch.report import profile as report
from pocwatch.sanitizer.findings import Frame
from pocwatch.sanitizer.profile import CallSite, Profile, merged

COSTS = model.load()
# flamegraph.pl: a stack, and behind the last space its count
FOLDED = re.compile(r"(?P<stack>\S.*?) (?P<count>\d+)")


def site(op: Op, count: int, redundant: int, *names: str | None, **more: object) -> CallSite:
    """A call site; `names` are its functions, innermost first."""
    stack = tuple(Frame(0x100 * (i + 1), f"{n}+0x8" if n else None) for i, n in enumerate(names))
    given: dict[str, object] = {
        "el": 1,
        "vm": False,
        "judged": count,
        "dirty": 0,
        "lines": count,
        "redundant": redundant,
        "needed": {"a": count - redundant},
    }
    return CallSite(op=op, stack=stack, count=count, **(given | more))  # type: ignore[arg-type]


PROFILE = Profile(
    ("a",),
    (
        site(Op.DC_CIVAC, 1000, 10, "clean", "map", "fault", dirty=900),
        site(Op.IC_IVAU, 200, 200, "inval", "map", "fault", vm=True),
        site(Op.DC_ISW, 5, 0, "loop", judged=0, lines=0),
        site(Op.DC_CIVAC, 7, 7, "clean", None, "fault"),
    ),
)


def test_prices() -> None:
    """Dirty lines cost what they cost; of others nobody knows whether a cache has them."""
    first = next(r for r in report.rows(PROFILE, COSTS) if r.site is PROFILE.sites[0])
    dirty, clean, absent = (COSTS[f"dc_poc_{state}"] for state in ("dirty", "clean", "absent"))
    low, high = min(clean.low, absent.low), max(clean.high, absent.high)
    middle = (clean.typical + absent.typical) / 2
    assert first.cost == dirty * 900 + Estimate(low, middle, high) * 100
    assert first.waste == Estimate(low, middle, high) * 10
    other = next(r for r in report.rows(PROFILE, COSTS) if r.site.op is Op.IC_IVAU)
    assert other.cost == other.waste == COSTS["ic_ivau"] * 200


def test_the_most_wasteful_first() -> None:
    wasted = [row.waste.typical for row in report.rows(PROFILE, COSTS)]
    assert wasted == sorted(wasted, reverse=True)
    assert wasted[-1] == 0


def test_table() -> None:
    text = report.text(PROFILE, COSTS)
    assert "1,212 operations at 4 call sites" in text
    assert "217 (17.9 %) redundant" in text
    assert re.search(r"200 \(100\.0 %\) +200 +200  ic ivau\n +EL1, guest: inval\+0x8 < map < fault", text)
    assert re.search(r"not judged +5 +0  dc isw", text)
    assert max(map(len, text.splitlines())) <= 84
    assert "2 more call sites" in report.text(PROFILE, COSTS, most=2)


def test_on_which_platforms_it_is_needed() -> None:
    """Sites are known again by their stacks; one that only another run has is left out."""
    here = [site(Op.DC_CIVAC, 9, 9, "f"), site(Op.DC_CVAU, 9, 9, "f")]
    there = [
        replace(site(Op.DC_CVAU, 9, 9, "f"), needed={"b": 0}),
        replace(site(Op.DC_CIVAC, 8, 7, "f"), needed={"b": 1}),
        replace(site(Op.DC_CVAC, 8, 7, "f"), needed={"b": 1}),
    ]
    profile = merged([Profile(("a",), here), Profile(("b",), there)])
    assert profile.platforms == ("a", "b")
    assert [(s.op, s.count, s.needed_on()) for s in profile.sites] == [
        (Op.DC_CIVAC, 9, ("b",)),
        (Op.DC_CVAU, 9, ()),
    ]
    text = report.text(profile, COSTS)
    assert "needed on b\n" in text
    assert "needed on no platform\n" in text
    assert {"a": 0, "b": 1} in [s["needed"] for s in report.data(profile, COSTS)["sites"]]


@pytest.mark.parametrize("value", ["operations", "redundant", "ns"])
def test_folded_lines_are_of_the_format(value: str) -> None:
    lines = report.folded(PROFILE, COSTS, value).splitlines()
    matches = [FOLDED.fullmatch(line) for line in lines]
    assert all(matches)
    stacks = [m["stack"].split(";") for m in matches if m]
    assert len(stacks) == len(set(map(tuple, stacks)))
    assert all(all(frame.strip() for frame in stack) for stack in stacks)
    assert all(int(m["count"]) > 0 for m in matches if m)


def test_folded() -> None:
    assert report.folded(PROFILE, COSTS) == (
        "fault;0x200;clean;dc civac 7\n"
        "fault;map;clean;dc civac 1000\n"
        "fault;map;inval;ic ivau 200\n"
        "loop;dc isw 5\n"
    )
    assert report.folded(PROFILE, COSTS, "redundant").splitlines()[-1].endswith("ic ivau 200")


def test_equal_stacks_are_one_line_and_names_do_not_break_it() -> None:
    twice = Profile(("a",), (PROFILE.sites[0], replace(PROFILE.sites[0], vm=True)))
    assert report.folded(twice, COSTS) == "fault;map;clean;dc civac 2000\n"
    odd = Profile(("a",), (site(Op.DC_CVAC, 1, 0, "operator;()\n"),))
    assert report.folded(odd, COSTS) == "operator:() ;dc cvac 1\n"


def test_every_key_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto-profile.md").read_text()
    found = report.data(PROFILE, COSTS)
    described = set(re.findall(r"`(\w+)`", page))
    assert {*found, *found["sites"][0], *found["sites"][0]["stack"][0]} <= described


def test_nothing_done() -> None:
    empty = Profile(("a",), ())
    assert "no operations at no call sites" in report.text(empty, COSTS)
    assert report.folded(empty, COSTS) == ""
    assert report.data(empty, COSTS)["sites"] == []
