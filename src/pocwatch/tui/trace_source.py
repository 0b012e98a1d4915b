"""A trace as the viewer's first list: events folded by line or by call site, or in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from pocwatch.platforms import Platform
from pocwatch.sanitizer.findings import Finding
from pocwatch.tui import trace_row, trace_search, trace_store
from pocwatch.tui.source import Fold, Place, Row, Rows, Searched
from pocwatch.tui.trace_index import NO_LINE, By, Index
from pocwatch.tui.trace_line import Context, SiteEvents, TracedLine, event_page, place_of
from pocwatch.tui.trace_store import Addresses, Event, Store, Trace

_MODES = ("by line", "by call site", "in order of time")


class Views:
    """The ways to list a trace; each keeps its folds and what it has indexed."""

    def __init__(self, trace: Trace, platform: Platform) -> None:
        self.store = Store(trace)
        self.context = Context(self.store, platform, trace.info.machine.pes)
        self.threads = {by: Threads(self, by) for by in By}
        self.times = Times(self)

    @property
    def first(self) -> Rows:
        """What a trace opens on: its lines."""
        return self.threads[By.LINE]

    @property
    def heading(self) -> str:
        """What is known of the whole trace."""
        info, damage = self.store.trace.info, self.store.trace.damage
        parts = [f"{self.store.rows:,} rows", f"platform {self.context.platform.name}"]
        if damage:
            parts.append(f"DAMAGED: {damage[0]}" + (f" (+{len(damage) - 1})" * (len(damage) > 1)))
        elif not info.complete:
            parts.append(f"PARTIAL: {info.failure or 'the recording did not end'}")
        return ", ".join(parts)

    def line_of(self, event: Event) -> TracedLine | None:
        """Return the whole line of an event, None for what is of none."""
        if event.line is None:
            return None
        return TracedLine(self.context, line_members(self.store, event.line), event.line)

    def after(self, rows: Rows) -> tuple[Rows, str]:
        """Return the next way to list it, and what that is called."""
        ways: list[Rows] = [self.threads[By.LINE], self.threads[By.SITE], self.times]
        number = (ways.index(rows) + 1) % len(ways)
        return ways[number], _MODES[number]


def line_members(store: Store, line: int) -> Addresses:
    """Return the addresses of all events of a line: one row group a generation holds them."""
    found: list[Addresses] = [np.zeros(0, np.uint64)]
    for generation in store.generations:
        for number in generation:
            low, high = store.groups[number].line
            if store.groups[number].shard is None or not low <= line <= high:
                continue
            op, lines = store.column(number, "op", "line")
            rows = np.flatnonzero((lines == np.uint64(line)) & trace_store.happened(op))
            found.append(trace_store.addresses(number, rows))
    return np.concatenate(found)


class Threads:
    """Events that have a line or a call site in common, behind the first of them."""

    pages = ()

    def __init__(self, views: Views, by: By) -> None:
        self.views, self.by = views, by
        self.index = Index(views.store, by)
        self._open: dict[int, Addresses] = {}

    @property
    def noun(self) -> str:
        return self.by.value

    @property
    def heading(self) -> str:
        growing = "" if self.index.complete else f", {self.index.share:.0%} read"
        return f"{_MODES[list(By).index(self.by)]}{growing}: {self.views.heading}"

    @property
    def complete(self) -> bool:
        return self.index.complete

    def grow(self) -> None:
        self.index.grow()

    def __len__(self) -> int:
        return len(self.index) + sum(len(members) - 1 for members in self._open.values())

    def _at(self, index: int) -> tuple[int, int]:
        """Return a row's thread and its number there."""
        for thread in sorted(self._open):
            if index < thread:
                break
            more = len(self._open[thread]) - 1
            if index <= thread + more:
                return thread, index - thread
            index -= more
        return index, 0

    def _index(self, thread: int, member: int = 0) -> int:
        before = sum(len(members) - 1 for t, members in self._open.items() if t < thread)
        return thread + before + member

    def _address(self, index: int) -> int:
        thread, member = self._at(index)
        return int(self._open[thread][member] if member else self.index.addresses[thread])

    def event(self, index: int) -> Event:
        return self.views.store.events([self._address(index)])[0]

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        events = self.views.store.events([self._address(index) for index in range(start, stop)])
        return [self._row(start + n, event, width) for n, event in enumerate(events)]

    def _row(self, index: int, event: Event, width: int) -> Row:
        thread, member = self._at(index)
        more = int(self.index.counts[thread]) - 1
        fold, marker, tree = Fold.NONE, " " * 10, ""
        if member:
            tree = "└─>" if member + 1 == len(self._open[thread]) else "├─>"
        elif more:
            fold = Fold.OPEN if thread in self._open else Fold.CLOSED
            marker = f" {'−' if fold is Fold.OPEN else f'+{more:,}':<9}"
        row = trace_row.row(event, thread + 1, len(self.index), line=True, tree=tree)
        row.truncate(width - len(marker), overflow="ellipsis", pad=True)
        return Row(row, fold, marker)

    def position(self, index: int) -> str:
        thread, member = self._at(index)
        more = "" if self.index.complete else "+"
        inside = (
            f" event {member + 1:,}/{len(self._open[thread]):,}" if thread in self._open else ""
        )
        return f"{thread + 1:,}/{len(self.index):,}{more}{inside}"

    def row_of(self, number: int) -> int:
        return self._index(min(number, len(self.index)) - 1)

    def below(self, index: int) -> Rows | None:
        event = self.event(index)
        if self.by is By.LINE:
            return self.views.line_of(event)
        thread, _ = self._at(index)
        members = self._open.get(thread)
        if members is None:
            members = self.index.members(thread)
        name = trace_row.place(event) or "none"
        return SiteEvents(self.views.context, members, name, self.views.line_of)

    def page(self, name: str, index: int) -> list[Text]:
        return event_page(name, self.event(index))

    def toggle(self, index: int) -> int | None:
        thread, _ = self._at(index)
        if thread in self._open:
            del self._open[thread]
        elif self.index.counts[thread] > 1:
            self._open[thread] = self.index.members(thread)
        else:
            return None
        return self._index(thread)

    def close(self, index: int) -> int | None:
        return self.toggle(index) if self._at(index)[0] in self._open else None

    def toggle_all(self, index: int) -> int | None:
        """Close all folds; opening millions of them helps nobody."""
        if not self._open:
            return None
        thread, _ = self._at(index)
        self._open.clear()
        return self._index(thread)

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        rows, name = self.views.after(self)
        return rows, rows.reveal(self._address(index)), f"events {name}"

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        return trace_search.search(self.views.store, wanted, self.event(index), step)

    def reveal(self, found: int) -> int:
        (event,) = self.views.store.events([found])
        key = {By.LINE: event.line or NO_LINE, By.SITE: None}[self.by]
        if key is None:
            number, row = found >> 32, found & 0xFFFF_FFFF
            key = int(self.views.store.column(number, self.by.value)[0][row])
        thread = self.index.thread_of(key)
        while thread is None and self.index.grow():
            thread = self.index.thread_of(key)
        if thread is None:
            thread = self.index.thread_of(key) or 0
        if int(self.index.addresses[thread]) == found:
            return self._index(thread)
        if thread not in self._open:
            self._open[thread] = self.index.members(thread)
        places = np.flatnonzero(self._open[thread] == np.uint64(found))
        return self._index(thread, int(places[0]) if len(places) else 0)

    def place(self, index: int) -> Place:
        return place_of(self.event(index))

    def findings(self, index: int) -> Sequence[Finding]:
        return ()


class Times:
    """Events in the order in which they happened; one generation at a time is sorted."""

    noun = "event"
    pages = ()

    def __init__(self, views: Views) -> None:
        self.views = views
        self._ends: list[int] = []  # per generation counted so far, the events until its end
        self._sorted: tuple[int, Addresses] | None = None

    @property
    def heading(self) -> str:
        share = len(self._ends) / max(1, len(self.views.store.generations))
        growing = "" if self.complete else f", {share:.0%} counted"
        return f"{_MODES[2]}{growing}: {self.views.heading}"

    @property
    def complete(self) -> bool:
        return len(self._ends) == len(self.views.store.generations)

    def grow(self) -> None:
        store = self.views.store
        count = 0
        for number in store.generations[len(self._ends)]:
            (op,) = store.column(number, "op")
            count += int(trace_store.happened(op).sum())
        self._ends.append(len(self) + count)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _order(self, generation: int) -> Addresses:
        kept = self._sorted
        if kept is not None and kept[0] == generation:
            return kept[1]
        store = self.views.store
        found, times = [], []
        for number in store.generations[generation]:
            seq, op = store.column(number, "seq", "op")
            rows = np.flatnonzero(trace_store.happened(op))
            found.append(trace_store.addresses(number, rows))
            times.append(seq[rows])
        order = trace_store.in_time(np.concatenate(found), np.concatenate(times))
        self._sorted = generation, order
        return order

    def _addresses(self, start: int, stop: int) -> list[int]:
        wanted: list[int] = []
        before = 0
        for generation, end in enumerate(self._ends):
            low, high = max(start - before, 0), min(stop, end) - before
            if low < high:
                wanted += self._order(generation)[low:high].tolist()
            before = end
        return wanted

    def event(self, index: int) -> Event:
        return self.views.store.events(self._addresses(index, index + 1))[0]

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        events = self.views.store.events(self._addresses(start, stop))
        return [
            Row(trace_row.row(e, start + n + 1, len(self), line=True)) for n, e in enumerate(events)
        ]

    def position(self, index: int) -> str:
        return f"{index + 1:,}/{len(self):,}{'' if self.complete else '+'}"

    def row_of(self, number: int) -> int:
        return number - 1

    def below(self, index: int) -> Rows | None:
        return self.views.line_of(self.event(index))

    def page(self, name: str, index: int) -> list[Text]:
        return event_page(name, self.event(index))

    def toggle(self, index: int) -> int | None:
        return None

    def close(self, index: int) -> int | None:
        return None

    def toggle_all(self, index: int) -> int | None:
        return None

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        rows, name = self.views.after(self)
        return rows, rows.reveal(self._addresses(index, index + 1)[0]), f"events {name}"

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        return trace_search.search(self.views.store, wanted, self.event(index), step)

    def reveal(self, found: int) -> int:
        generation = self.views.store.groups[found >> 32].generation
        while len(self._ends) <= generation:
            self.grow()
        places = np.flatnonzero(self._order(generation) == np.uint64(found))
        return (self._ends[generation - 1] if generation else 0) + int(places[0])

    def place(self, index: int) -> Place:
        return place_of(self.event(index))

    def findings(self, index: int) -> Sequence[Finding]:
        return ()
