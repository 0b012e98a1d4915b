"""What caches may hold in a state: steps of the mask and of the state go together."""

from __future__ import annotations

import random

import pytest

from pocwatch import platforms
from pocwatch.arch.ops import Kind
from pocwatch.line.automaton import Event
from pocwatch.line.contents import contents_of
from pocwatch.line.model import Cell, Copy


@pytest.mark.parametrize("name", ["cortex-a57", "xgene-l3", "l2x0-up"])
def test_a_place_says_what_the_automaton_says(name: str) -> None:
    """Whether a read may be stale follows from the configurations as from the state."""
    contents = contents_of(platforms.load(name))
    rng = random.Random(name)
    place = contents.start
    for _ in range(300):
        place = contents.step(place, rng.choice(list(Event)), 1)
        bars = contents.bars([place])
        memory = Copy.STALE_CLEAN in bars[-1].may_hold
        assert memory == contents.automaton.stale[1][place.state].of_read(Kind.NC)
        assert place.mask & contents.of_state(place.state).mask == place.mask


def test_bars_are_the_literal_models() -> None:
    """After st wb; dc cvac by the rules as they are written, one configuration at a time."""
    platform = platforms.load("cortex-a57")
    cell = Cell.initial(platform, 1).store(None, Kind.WB, own=True)
    contents = contents_of(platform)
    place = contents.step(contents.start, Event.ST_WB, 1)
    for level, bar in enumerate(contents.bars([place])[:-1]):
        assert bar.may_hold == {c.caches.levels[level] for c in cell.configurations}
    assert [bar.name for bar in contents.bars([place])] == ["L1D", "L2", "memory"]


def test_several_places_may_hold_what_any_may() -> None:
    contents = contents_of(platforms.load("cortex-a57-up"))
    written = contents.step(contents.start, Event.ST_WB, 1)
    both = contents.bars([contents.start, written])
    for joined, one, other in zip(
        both, contents.bars([contents.start]), contents.bars([written]), strict=True
    ):
        assert joined.may_hold == one.may_hold | other.may_hold
