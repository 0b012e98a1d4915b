"""The automaton checks itself: total, reachable, minimal; and says the same in every form."""

from __future__ import annotations

import itertools
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import oracle
import pytest

from pocwatch import platforms
from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind
from pocwatch.line import automaton as construction
from pocwatch.line import emit, pending, table
from pocwatch.line.automaton import MAINTENANCE_EVENT, Automaton, Event, Stale
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform
from pocwatch.sanitizer.cheader import c_header

ALL = platforms.names()

# Before and after minimisation. docs/ quotes these.
COUNTS = {
    "cortex-a53": (135, 9),
    "cortex-a57": (135, 9),
    "cortex-a57-up": (84, 9),
    "fwb": (682, 10),
    "l2x0-up": (223, 22),
    "fwb-dic": (341, 8),
    "neoverse-dic": (341, 8),
    "transparent-l3": (135, 9),
    "xgene-l3": (682, 10),
    "xgene-l3-up": (322, 10),
}


@pytest.fixture(params=ALL)
def automaton(request: pytest.FixtureRequest) -> Automaton:
    return automaton_of(platforms.load(request.param))


def after(automaton: Automaton, word: Iterable[tuple[int, Event]], state: int = 0) -> int:
    for fill, event in word:
        state = automaton.delta[fill][event][state]
    return state


def test_total_and_deterministic(automaton: Automaton) -> None:
    assert len(automaton.delta) == len(automaton.stale) == 2
    for rows in automaton.delta:
        assert len(rows) == len(Event)
        for row in rows:
            assert len(row) == automaton.states
            assert set(row) <= set(range(automaton.states))
    assert [len(outputs) for outputs in automaton.stale] == [automaton.states] * 2


def test_words_are_shortest_ways(automaton: Automaton) -> None:
    distance = {0: 0}
    todo = deque([0])
    while todo:
        state = todo.popleft()
        for fill, event in itertools.product((0, 1), Event):
            follower = automaton.delta[fill][event][state]
            if follower not in distance:
                distance[follower] = distance[state] + 1
                todo.append(follower)
    assert sorted(distance) == list(range(automaton.states))
    for state, word in enumerate(automaton.words):
        assert after(automaton, word) == state
        assert len(word) == distance[state]


def test_minimal(automaton: Automaton) -> None:
    """Every two states are told apart by some word: searched for pair by pair."""
    for pair in itertools.combinations(range(automaton.states), 2):
        seen = {pair}
        todo = deque(seen)
        while todo:
            a, b = todo.popleft()
            if any(outputs[a] != outputs[b] for outputs in automaton.stale):
                break
            for fill, event in itertools.product((0, 1), Event):
                row = automaton.delta[fill][event]
                following = (row[a], row[b])
                if row[a] != row[b] and following not in seen:
                    seen.add(following)
                    todo.append(following)
        else:
            pytest.fail(f"states {pair} are equivalent")


@pytest.mark.parametrize("name", ALL)
def test_counts(name: str) -> None:
    automaton = automaton_of(platforms.load(name))
    assert (automaton.subset_states, automaton.states) == COUNTS[name]


def test_the_start_is_coherent(automaton: Automaton) -> None:
    assert [outputs[0] for outputs in automaton.stale] == [Stale(0), Stale(0)]


def test_without_fills_no_more_is_stale(automaton: Automaton) -> None:
    for off, on in zip(*automaton.stale, strict=True):
        assert off & ~on == 0


@pytest.mark.parametrize("name", ALL)
def test_built_from_scratch(name: str) -> None:
    """Nothing is kept between builds, and one takes less than 5 seconds (issue: deliver 2)."""
    platform = platforms.load(name)
    begun = time.process_time()
    first = construction.build(platform)
    assert time.process_time() - begun < 5
    second = construction.build(replace(platform))
    assert (first.delta, first.stale, first.words) == (second.delta, second.stale, second.words)
    assert first is not second


# --- Against a subset construction from the oracle ------------------------------------------------

Subset = frozenset[oracle.Caches]
Effects = dict[Event, Callable[[oracle.Caches], Iterable[oracle.Caches]]]


def effects(platform: Platform) -> Effects:
    def acting(op: str) -> Callable[[oracle.Caches], Iterable[oracle.Caches]]:
        return lambda caches: oracle.act(platform, op, caches)

    levels = len(platform.levels)
    gone = ("--",) * (levels - 1)
    return {
        Event.ST_WB: oracle.stored("wb"),
        Event.ST_WB_NEIGHBOUR: oracle.neighbour("wb"),
        Event.ST_NC: oracle.stored("nc"),
        Event.ST_WT: oracle.stored("wt"),
        Event.WR_COHERENT: lambda _: [(*gone, "--", "L"), (*gone, "Ld", "S")],
        Event.LD_CACHED: oracle.demand_filled,
        Event.CLOSE: lambda caches: oracle.drift(caches, True),
        **{event: acting(op.spelling) for op, event in MAINTENANCE_EVENT.items()},
    }


def drifted(some: Iterable[oracle.Caches], fill: int) -> Subset:
    return frozenset(c for caches in some for c in oracle.drift(caches, bool(fill)))


def output(platform: Platform, subset: Subset) -> Stale:
    found = Stale(0)
    for caches in subset:
        found |= Stale.WB if oracle.view(caches, 0) == "S" else Stale(0)
        found |= Stale.NC if caches[-1] == "S" else Stale(0)
        found |= Stale.POU if oracle.view(caches, platform.pou) == "S" else Stale(0)
    return found


def determinised(
    platform: Platform, events: Iterable[Event], fills: Iterable[int]
) -> tuple[list[Subset], list[dict[tuple[int, Event], int]]]:
    """The subset construction: subsets in order of discovery, and where each event leads."""
    chosen = [(fill, event) for fill in fills for event in events]
    does = effects(platform)
    start = drifted([(*("--",) * len(platform.levels), "L")], 1)
    order, numbers = [start], {start: 0}
    moves: list[dict[tuple[int, Event], int]] = []
    for subset in order:
        moves.append({})
        for fill, event in chosen:
            before = drifted(subset, 1) if fill else subset
            following = drifted((c for caches in before for c in does[event](caches)), fill)
            if following not in numbers:
                numbers[following] = len(order)
                order.append(following)
            moves[-1][fill, event] = numbers[following]
    return order, moves


@pytest.mark.parametrize("name", ["cortex-a57-up", "cortex-a57", "l2x0-up", "xgene-l3-up"])
def test_is_the_subset_construction(name: str) -> None:
    """Follow every subset of the oracle's construction through the table: the outputs agree.

    With `test_minimal` it follows that the table is the minimal automaton.
    """
    platform = platforms.load(name)
    automaton = automaton_of(platform)
    order, moves = determinised(platform, Event, (1, 0))
    assert len(order) == COUNTS[name][0]
    state_of = {0: 0}
    for number, subset in enumerate(order):
        state = state_of[number]
        assert automaton.stale[0][state] == output(platform, subset)
        assert automaton.stale[1][state] == output(platform, drifted(subset, 1))
        for (fill, event), following in moves[number].items():
            expected = automaton.delta[fill][event][state]
            assert state_of.setdefault(following, expected) == expected
    assert set(state_of.values()) == set(range(automaton.states))


def merged(outputs: list[Stale], moves: list[dict[tuple[int, Event], int]]) -> int:
    """How many states no word tells apart."""
    kind: dict[int, object] = dict(enumerate(outputs))
    count = 0
    while count != len(set(kind.values())):
        count = len(set(kind.values()))
        numbers = {value: number for number, value in enumerate(dict.fromkeys(kind.values()))}
        kind = {
            state: (numbers[kind[state]], *(numbers[kind[to]] for to in moves[state].values()))
            for state in kind
        }
    return count


PROTOTYPE = (
    Event.ST_WB, Event.ST_WB_NEIGHBOUR, Event.ST_NC, Event.CVAC, Event.CVAU, Event.CIVAC, Event.IVAC,
    Event.CSW, Event.CISW, Event.ISW,
)  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "events", "subsets", "states"),
    [(3, PROTOTYPE, 116, 8), (2, PROTOTYPE, None, 7), (1, PROTOTYPE, None, 6),
     (3, (*PROTOTYPE, Event.ST_WT, Event.WR_COHERENT, Event.LD_CACHED), 123, 8)],
)  # fmt: skip
def test_the_counts_of_the_prototype(
    levels: int, events: tuple[Event, ...], subsets: int | None, states: int
) -> None:
    """Design, "The one idea": 116 subset states, 8 minimised, with three levels; 7 with two, 6 with one.

    That is one PE, the L3 out of reach of set/way, some MMU always on, and neither DMA nor `st wt`.
    The shipped tables have more: coherent DMA and write-through stores add subsets, and caches that
    cannot fill (all MMUs off) add states.
    """
    whole = platforms.load("xgene-l3-up")
    platform = replace(whole, levels=whole.levels[:levels])
    order, moves = determinised(platform, events, (1,))
    assert subsets is None or len(order) == subsets
    assert merged([output(platform, subset) for subset in order], moves) == states


# --- The emitted forms ----------------------------------------------------------------------------


def test_json_form(automaton: Automaton) -> None:
    value = emit.json_value(automaton)
    assert value["platform"] == automaton.platform.name
    assert value["levels"] == [level.name for level in automaton.platform.levels]
    assert value["subset_states"] == automaton.subset_states
    assert [entry["state"] for entry in value["states"]] == list(range(automaton.states))
    flags = {"wb": Stale.WB, "nc": Stale.NC, "if": Stale.POU}
    events = {emit.EVENT_TEXT[event]: event for event in Event}
    assert len(events) == len(Event)
    assert list(events) == value["events"]
    for fill, key in enumerate(("mmu_off", "mmu_on")):
        for text, event in events.items():
            assert tuple(value["delta"][key][text]) == automaton.delta[fill][event]
        for entry, expected in zip(value["states"], automaton.stale[fill], strict=True):
            assert sum(flags[text] for text in entry["stale"][key]) == expected
    for entry in value["states"]:
        word = []
        for text in entry["word"]:
            base, off, _ = text.partition(" (all MMUs off)")
            word.append((int(not off), events[base]))
        assert after(automaton, word) == entry["state"]
    meanings = [entry["meaning"] for entry in value["states"]]
    assert len(set(meanings)) == len(meanings), "two states are called the same"


def check_rows(automaton: Automaton, fill: int, heading: list[str], rows: list[list[str]]) -> None:
    """Hold a printed table to the automaton: columns left out change nothing."""
    events = {emit.EVENT_TEXT[event]: event for event in Event}
    shown = [events[text] for text in heading[2:]]
    assert len(rows) == automaton.states
    for state, row in enumerate(rows):
        assert row[0] == str(state)
        for event, cell in zip(shown, row[2:], strict=True):
            following = automaton.delta[fill][event][state]
            assert cell == ("." if following == state else str(following))
        for event in set(Event) - set(shown):
            assert automaton.delta[fill][event][state] == state
        expected = {
            text
            for text, flag in (("wb", Stale.WB), ("nc", Stale.NC), ("if", Stale.POU))
            if flag in automaton.stale[fill][state]
        }
        assert set(row[1].split()) - {"-"} == expected


def test_markdown_form(automaton: Automaton) -> None:
    lines = emit.markdown(automaton).splitlines()
    for fill, title in ((1, "**some MMU on**"), (0, "**all MMUs off**")):
        at = lines.index(title) + 2
        cells = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in itertools.takewhile(lambda line: line.startswith("|"), lines[at:])
        ]
        check_rows(automaton, fill, cells[0], cells[2:])


def test_text_form(automaton: Automaton) -> None:
    lines = emit.text(automaton).splitlines()
    assert f"{automaton.subset_states} subset states, {automaton.states} after" in lines[0]
    for fill, title in ((1, "some MMU on:"), (0, "all MMUs off:")):
        at = lines.index(title) + 1
        cells = [
            re.split(r" {2,}", line.strip())
            for line in itertools.takewhile(lambda line: line.strip(), lines[at:])
        ]
        check_rows(automaton, fill, cells[0], cells[1:])


def test_dot_form(automaton: Automaton) -> None:
    dot = emit.dot(automaton)
    assert len(re.findall(r"^  s\d+ \[label=", dot, re.MULTILINE)) == automaton.states
    events = {emit.EVENT_TEXT[event]: event for event in Event}
    drawn = {
        (int(a), events[text], int(b))
        for a, b, label in re.findall(r'^  s(\d+) -> s(\d+) \[label="([^"]*)"\];', dot, re.MULTILINE)
        for text in label.split("\\n")
    }
    expected = {
        (state, event, following)
        for event in Event
        for state, following in enumerate(automaton.delta[1][event])
        if state != following
    }
    assert drawn == expected


def test_binary_form(automaton: Automaton) -> None:
    platform = automaton.platform
    read = table.Table.from_buffer_copy(table.binary(platform))
    states = automaton.states
    assert (read.magic, read.version, read.size) == (b"PWTABLE", 1, len(bytes(read)))
    assert (read.states, read.pes, read.dic) == (states, platform.pes, platform.dic)
    for fill in (0, 1):
        for event in Event:
            assert tuple(read.delta[fill][event][:states]) == automaton.delta[fill][event]
        outputs = [Stale(flags & 7) for flags in read.stale[fill][:states]]
        assert outputs == list(automaton.stale[fill])
    for op in DATA_MAINTENANCE:
        assert read.event[op] == MAINTENANCE_EVENT[op]
        assert read.idle[op] == pending.without_effect(platform, op)
        assert read.discards[op] == (op.spelling in ("dc ivac", "dc isw"))
        for other in DATA_MAINTENANCE:
            assert read.supersedes[op][other] == pending.supersedes(platform, op, other)
            assert read.covers[op][other] == pending.covers(platform, op, other)
    known = {*DATA_MAINTENANCE, *OUTER_MAINTENANCE}
    for number in set(range(table.MAX_OPS)) - {int(op) for op in known}:
        assert read.event[number] == table.NO_EVENT
    for kind in Kind:
        for flags in range(8):
            assert bool(read.read_stale[kind] & flags) == Stale(flags).of_read(kind)
    assert list(read.fetch_stale) == [Stale.POU, Stale.POU | Stale.NC, Stale.NC, Stale.NC]


def test_lost_is_what_no_maintenance_mends(automaton: Automaton) -> None:
    """From a state that is not lost some maintenance makes all reads fresh; from a lost one none does."""
    lost = table.lost_states(automaton)
    for state in range(automaton.states):
        seen = {state}
        todo = [state]
        while todo:
            now = todo.pop()
            for event in set(MAINTENANCE_EVENT.values()):
                following = automaton.delta[1][event][now]
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        assert (state in lost) == all(automaton.stale[1][s] for s in seen)


def test_the_c_header_is_fresh() -> None:
    path = Path(__file__).parents[2] / "src" / "pocwatch" / "plugin" / "generated.h"
    assert path.read_text() == c_header(), "run: python -m pocwatch.sanitizer.cheader"
