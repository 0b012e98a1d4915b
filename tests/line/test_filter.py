"""The filter of recordings against the literal construction, with sets of (platform, state)."""

from __future__ import annotations

import ctypes

import pytest

from pocwatch import platforms
from pocwatch.line import filter as filters
from pocwatch.line.automaton import Event, Stale
from pocwatch.line.filter import Filter, Flag, Header, Move, Row

Pair = tuple[int, int]  # number of a table, state of it
CLEANS = {Event.CVAC, Event.CVAU, Event.CIVAC}


@pytest.fixture(scope="module")
def shipped() -> Filter:
    return filters.build([platforms.load(name) for name in platforms.names()])


def pairs(of: Filter, state: int) -> frozenset[Pair]:
    """Return the pairs that a state of the filter is a set of."""
    every = [(i, s) for i, table in enumerate(of.tables) for s in range(table.states)]
    return frozenset(every[member] for member in of.sets[state])


def literal(of: Filter, before: frozenset[Pair], move: Move, fill: int) -> frozenset[Pair]:
    """Return what a move makes of a set, by its definition."""

    def image(pair: Pair, event: Event) -> Pair:
        return pair[0], of.tables[pair[0]].delta[fill][event][pair[1]]

    def closure(events: set[Event]) -> frozenset[Pair]:
        reached = set(before)
        while True:
            more = {image(pair, event) for pair in reached for event in events} | reached
            if more == reached:
                return frozenset(reached)
            reached = more

    def read(stale: Stale) -> frozenset[Pair]:
        return starts | {(i, s) for i, s in before if not of.tables[i].stale[fill][s] & stale}

    starts = frozenset((i, 0) for i, _ in enumerate(of.tables))

    match move:
        case Move.BY_VA:
            return closure(CLEANS)
        case Move.BY_VA_INVALIDATE:
            return closure(CLEANS | {Event.IVAC})
        case Move.BY_SET_WAY:
            return closure({Event.CSW, Event.CISW})
        case Move.BY_SET_WAY_INVALIDATE:
            return closure({Event.CSW, Event.CISW, Event.ISW})
        case Move.READ_WB:
            return read(Stale.WB)
        case Move.READ_NC:
            return read(Stale.NC)
        case Move.READ_WT:
            return read(Stale.NC | Stale.WB)
        case Move.HEALED:
            return before | starts
        case Move.OUTER:
            return frozenset((i, s) for i, t in enumerate(of.tables) for s in range(t.states))
    return frozenset(image(pair, Event[move.name]) for pair in before)


def test_the_emitted_filter_is_the_literal_construction(shipped: Filter) -> None:
    data = filters.binary([platforms.load(name) for name in platforms.names()])
    header = Header.from_buffer_copy(data)
    assert header.row_size == ctypes.sizeof(Row)
    rows = (Row * header.states * 2).from_buffer_copy(data, ctypes.sizeof(Header))
    numbers = {pairs(shipped, state): state for state in range(header.states)}
    assert len(numbers) == header.states
    assert numbers[frozenset((i, 0) for i, _ in enumerate(shipped.tables))] == 0
    for state in range(header.states):
        before = pairs(shipped, state)
        for fill in (0, 1):
            for move in Move:
                after = numbers[literal(shipped, before, move, fill)]
                assert rows[fill][state].next[move] == after, (state, fill, move)


def test_what_stays_and_what_is_stale_is_so_for_every_member(shipped: Filter) -> None:
    for state in range(len(shipped.sets)):
        for fill in (0, 1):
            flags = shipped.flags[fill][state]
            tables = [(shipped.tables[i], s) for i, s in pairs(shipped, state)]
            for flag, events in (
                (Flag.LOAD_STAYS, {Event.LD_CACHED}),
                (Flag.ST_WB_STAYS, {Event.ST_WB}),
                (Flag.NEIGHBOUR_STAYS, {Event.ST_WB_NEIGHBOUR}),
                (Flag.ST_NC_STAYS, {Event.ST_NC}),
                (Flag.ST_WT_STAYS, {Event.ST_WT}),
                (Flag.BY_VA_STAYS, CLEANS),
            ):
                stays = all(t.delta[fill][event][s] == s for t, s in tables for event in events)
                assert bool(flags & flag) == stays, (state, fill, flag)
            for flag, stale in (
                (Flag.STALE_WB, Stale.WB),
                (Flag.STALE_NC, Stale.NC),
                (Flag.STALE_POU, Stale.POU),
            ):
                assert bool(flags & flag) == any(t.stale[fill][s] & stale for t, s in tables)


def test_equal_tables_count_once(shipped: Filter) -> None:
    again = filters.distinct([platforms.load("cortex-a57"), platforms.load("cortex-a57")])
    assert len(again) == 1
    assert len(shipped.tables) < len(platforms.names())


def test_a_filter_of_one_platform_has_fewer_states(shipped: Filter) -> None:
    alone = filters.build([platforms.load("cortex-a57")])
    assert len(alone.sets) < len(shipped.sets) <= filters.MAX_STATES


def test_too_many_states_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "MAX_STATES", 20)
    with pytest.raises(filters.FilterError, match=r"^platforms cortex-a57: .* more than 20 states"):
        filters.build([platforms.load("cortex-a57")])
