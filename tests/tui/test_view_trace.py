"""Traces in the viewer: folds, order, states against the calculator, and that little is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import synthetic_trace
from pilot import drive, press, screen
from textual.pilot import Pilot

from pocwatch import platforms
from pocwatch.trace import schema
from pocwatch.trace.info import Group
from pocwatch.trace.reader import Trace
from pocwatch.tui import line_replay, trace_search
from pocwatch.tui.app import Viewer
from pocwatch.tui.source import Fold, Searched
from pocwatch.tui.trace_index import By, Index
from pocwatch.tui.trace_source import Views, line_members
from pocwatch.tui.trace_store import Event, Store

ROWS, GENERATION = 3000, 700
PLATFORM = platforms.load("xgene-l3")
MARKS = set(schema.MARKS.values())


class Counting:
    """A trace that counts what is read of it."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.info, self.damage = trace.info, trace.damage
        self.reads: list[tuple[int, Sequence[str] | None]] = []

    def readable(self) -> Iterator[tuple[int, Group]]:
        return self._trace.readable()

    def table(self, number: int, columns: Sequence[str] | None = None) -> Any:
        self.reads.append((number, columns))
        return self._trace.table(number, columns)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "t.parquet"
    records = synthetic_trace.records(ROWS, lines=200, sites=60)
    path.write_bytes(synthetic_trace.trace_bytes(records, GENERATION))
    return path


@pytest.fixture
def trace(file: Path) -> Iterator[Counting]:
    with Trace(file) as opened:
        yield Counting(opened)


@pytest.fixture(scope="module")
def happened(file: Path) -> list[dict[str, Any]]:
    """Every event, in the order in which they happened, read in the simplest way."""
    with Trace(file) as opened:
        rows = [row for g in range(opened.generations) for row in opened.in_order(g).to_pylist()]
    return [row for row in rows if row["op"] not in MARKS]


def grown(views: Views, by: By) -> Any:
    rows = views.threads[by]
    while not rows.complete:
        rows.grow()
    return rows


@pytest.mark.parametrize("by", By)
def test_threads_are_all_events_by_key_in_the_order_in_which_they_begin(
    trace: Counting, happened: list[dict[str, Any]], by: By
) -> None:
    index = Index(Store(trace), by)
    while index.grow():
        pass
    wanted: dict[int, list[int]] = {}
    for row in happened:
        wanted.setdefault(row[by.value] or 0, []).append(row["seq"])
    assert index.keys.tolist() == list(wanted)
    assert index.counts.tolist() == [len(each) for each in wanted.values()]
    for thread in (0, len(wanted) // 2, len(wanted) - 1):
        members = index.store.events(index.members(thread))
        assert [event.seq for event in members] == wanted[int(index.keys[thread])]


def test_what_is_shown_stays_while_a_list_grows(trace: Counting) -> None:
    rows = Views(trace, PLATFORM).threads[By.LINE]
    rows.grow()
    before = [row.text.plain for row in rows.window(0, 20, 80)]
    while not rows.complete:
        rows.grow()
    assert [row.text.plain.split()[:4] for row in rows.window(0, 20, 80)] == [
        line.split()[:4] for line in before
    ]


def test_in_order_of_time(trace: Counting, happened: list[dict[str, Any]]) -> None:
    rows = Views(trace, PLATFORM).times
    while not rows.complete:
        rows.grow()
    assert len(rows) == len(happened)
    seen = [rows.event(index).seq for index in range(0, len(rows), 97)]
    assert seen == [row["seq"] for row in happened[::97]]
    found = rows.reveal(rows.event(len(rows) - 3).address)
    assert found == len(rows) - 3


def test_folds_hold_the_events_of_a_line(trace: Counting) -> None:
    rows = grown(Views(trace, PLATFORM), By.LINE)
    length = len(rows)
    index = next(
        n for n, row in enumerate(rows.window(0, 30, 80)) if row.fold is Fold.CLOSED and n > 2
    )
    count = int(rows.index.counts[index])
    assert rows.toggle(index) == index
    assert len(rows) == length + count - 1
    lines = {rows.event(index + n).line for n in range(count)}
    assert lines == {int(rows.index.keys[index])}
    assert rows.event(index + count).line not in lines
    assert rows.close(index + count - 1) == index
    assert len(rows) == length


def test_a_line_has_all_its_events(trace: Counting, happened: list[dict[str, Any]]) -> None:
    store = Store(trace)
    line = next(row["line"] for row in happened if row["line"] is not None)
    wanted = [row["seq"] for row in happened if row["line"] == line]
    assert [event.seq for event in store.events(line_members(store, line))] == wanted


def test_states_are_those_of_every_event_stepped(
    trace: Counting, happened: list[dict[str, Any]]
) -> None:
    """Barriers that are left out change nothing: against a replay that leaves none out."""
    views = Views(trace, PLATFORM)
    lines = list(dict.fromkeys(row["line"] for row in happened if row["line"] is not None))[:6]
    barriers = line_replay.Barriers(views.store)
    for line in lines:
        replay = views.context.replay()
        for event in views.store.events(line_members(views.store, line)):
            replay.follow(event)
        slow = line_replay.Replay(PLATFORM, trace.info.machine.pes, _None(barriers))
        moments = []
        everything = [row for row in happened if row["line"] in (line, None)]
        for row in everything:
            event = _event(row)
            if row["line"] is None:
                op = line_replay.step_of(event)
                if op is not None and op.op in line_replay.OF_NO_LINE:
                    slow._take(op, range(0))
            else:
                slow.follow(event)
                moments.append(slow.moments[-1])
        assert replay.moments == moments


class _None:
    """Barriers that never are."""

    def __init__(self, _: object) -> None: ...

    def between(self, after: int, before: int) -> list[Any]:
        return []


def _event(row: dict[str, Any]) -> Event:
    return Event(0, row)


# What is read


def test_a_screen_reads_the_row_groups_of_its_rows_once(trace: Counting) -> None:
    rows = grown(Views(trace, PLATFORM), By.LINE)
    trace.reads.clear()
    rows.window(0, 24, 80)
    first = list(trace.reads)
    assert len(first) <= schema.SHARDS + 1  # the rows of a screen begin in one generation
    rows.window(0, 24, 80)
    rows.window(1, 25, 80)
    assert len(trace.reads) <= len(first) + 1


def test_opening_reads_one_generation(trace: Counting) -> None:
    rows = Views(trace, PLATFORM).threads[By.LINE]
    rows.grow()
    rows.window(0, 24, 80)
    groups = dict(trace.readable())
    assert {groups[number].generation for number, _ in trace.reads} == {0}


def test_a_search_stops_reading_where_it_finds(trace: Counting) -> None:
    store = Store(trace)
    first = store.events(store_first(store))[0]
    trace.reads.clear()
    pieces = list(trace_search.search(store, "dc civac", first, 1))
    groups = dict(trace.readable())
    assert pieces[-1].found is not None
    assert {groups[number].generation for number, _ in trace.reads} == {0}
    assert all(columns is not None for _, columns in trace.reads)  # never whole rows


def store_first(store: Store) -> Any:
    index = Index(store, By.LINE)
    index.grow()
    return index.addresses[:1]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("wanted", ["dc civac", "P1 st", "f3", "nowhere"])
def test_search_goes_through_all_matches_in_order(
    trace: Counting, happened: list[dict[str, Any]], wanted: str, step: int
) -> None:
    store = Store(trace)
    words = wanted.casefold().split()
    fields = ("op", "agent", "kind", "symbol", "stack")
    matching = [
        row["seq"]
        for row in happened
        if all(any(w in (row[f] or "").casefold() for f in fields) for w in words)
    ]
    at = store.events(store_first(store))[0]
    expected = [s for s in matching if s > at.seq][:4]
    if step < 0:
        expected = [s for s in matching[::-1] if s != at.seq][:4]  # around the start
    seen = []
    for _ in expected:
        *_, last = trace_search.search(store, wanted, at, step)
        assert last.found is not None
        at = store.events([last.found])[0]
        seen.append(at.seq)
    assert seen == expected
    if not matching:
        assert all(piece.found is None for piece in trace_search.search(store, wanted, at, step))


def test_an_address_finds_its_line(trace: Counting, happened: list[dict[str, Any]]) -> None:
    store = Store(trace)
    line = next(r["line"] for r in happened[len(happened) // 2 :] if r["line"])
    at = store.events(store_first(store))[0]
    *_, last = trace_search.search(store, f"{line + 9:#x}", at, 1)
    assert last.found is not None
    assert store.events([last.found])[0].line == line


# On the screen


def test_levels_of_a_trace(trace: Counting) -> None:
    viewer = Viewer(Views(trace, PLATFORM).first, "t.parquet")

    async def script(pilot: Pilot[None]) -> None:
        await viewer.workers.wait_for_complete()
        await press(pilot, "j j j l")
        lines = screen(viewer)
        assert lines[0].startswith(" line at PA 0x")
        await press(pilot, "l l")
        assert "› state › rule" in screen(viewer)[-2]
        await press(pilot, "h h h t")
        await viewer.workers.wait_for_complete()
        assert screen(viewer)[0].startswith(" by call site")
        await press(pilot, "t")
        await viewer.workers.wait_for_complete()
        assert screen(viewer)[0].startswith(" in order of time")
        await press(pilot, "G")
        assert f"event {len(viewer.level.rows):,}/" in screen(viewer)[-2]

    drive(viewer, script)


def test_escape_stops_a_search(trace: Counting) -> None:
    rows = Views(trace, PLATFORM).first

    class Endless:
        """The list, whose searches never end."""

        def __getattr__(self, name: str) -> Any:
            return getattr(rows, name)

        def __len__(self) -> int:
            return len(rows)

        def search(self, wanted: str, index: int, step: int) -> Iterator[Any]:
            while True:
                yield Searched(None, 0.5)

    viewer = Viewer(Endless(), "t.parquet")  # type: ignore[arg-type]

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("slash", "x", "enter")
        await asyncio.sleep(0.1)
        assert "searching 'x': 50%" in screen(viewer)[-1]
        await press(pilot, "j")  # keys are answered meanwhile
        assert "2/" in screen(viewer)[-2]
        await press(pilot, "escape")
        assert screen(viewer)[-1] == "search stopped"

    drive(viewer, script)


def test_a_damaged_trace_says_so(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.parquet"
    data = file.read_bytes()
    cut.write_bytes(data[: len(data) * 3 // 4])
    with Trace(cut) as opened:
        heading = Views(opened, PLATFORM).heading
    assert "DAMAGED: the trace was cut" in heading
