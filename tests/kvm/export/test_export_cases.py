"""Guarded cases say exactly what the functions of the line model say."""

from __future__ import annotations

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Kind
from pocwatch.kvm.export.cases import Case, fresh, outcomes, row_of, silent
from pocwatch.line import model
from pocwatch.line.automaton import Event, effects

ALL = [platforms.load(name) for name in platforms.names()]


def applied(cases: tuple[Case, ...], caches: model.Caches) -> list[object]:
    results = [case.applied(row_of(caches)) for case in cases]
    return [row for row in results if row is not None]


@pytest.mark.parametrize("platform", ALL, ids=lambda p: p.name)
def test_events(platform: platforms.Platform) -> None:
    for event in Event:
        found = outcomes(platform, event)
        for caches in model.all_caches(platform):
            wanted = {row_of(after) for after in effects(platform)[event](caches)}
            got = [row for outcome in found for row in applied(outcome, caches)]
            assert set(got) == wanted, (event, caches)
            assert len(applied(found[0], caches)) == 1, (event, caches)
            assert all(len(applied(outcome, caches)) <= 1 for outcome in found)


@pytest.mark.parametrize("platform", ALL, ids=lambda p: p.name)
@pytest.mark.parametrize("fill", [True, False])
def test_silent_moves(platform: platforms.Platform, fill: bool) -> None:
    found = silent(platform, fill=fill)
    assert any(name.startswith("fill") for name in found) is fill
    for caches in model.all_caches(platform):
        wanted = {name: row_of(to) for name, to in model.silent_moves(caches, fill=fill)}
        for name, moves in found.items():
            there = [wanted[name]] if name in wanted else []
            assert applied(moves, caches) == there, (name, caches)


@pytest.mark.parametrize("platform", ALL, ids=lambda p: p.name)
def test_reads(platform: platforms.Platform) -> None:
    for kind in Kind:
        cases = fresh(platform, kind)
        for caches in model.all_caches(platform):
            is_fresh = bool(applied(cases, caches))
            assert is_fresh is not model.may_read_stale(caches, kind), (kind, caches)


def test_they_are_few() -> None:
    """What a reader sees of a fill of the L1D over L2 and L3: six cases, not 50 rows."""
    (platform,) = (p for p in ALL if p.name == "xgene-l3")
    assert len(silent(platform, fill=True)["fill 0"]) == 6
    assert [len(outcome) for outcome in outcomes(platform, Event.CIVAC)] == [7]
    assert [len(outcome) for outcome in outcomes(platform, Event.IVAC)] == [1, 6]
