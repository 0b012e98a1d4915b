"""Events of a trace that are kept as addresses: of one line with its states, or of one call site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from pocwatch.line import emit
from pocwatch.line.contents import contents_of
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform
from pocwatch.report.timeline import Situation
from pocwatch.sanitizer.findings import Finding
from pocwatch.tui import line_replay, look, state_page, trace_row
from pocwatch.tui.line_replay import Barriers, Cells, Replay
from pocwatch.tui.source import Place, Row, Rows, Searched
from pocwatch.tui.trace_store import Addresses, Event, Store

_FOLLOWED = 200_000  # events of a line; following takes about 20 µs each
_SEARCHED_AT_ONCE = 2000


@dataclass(slots=True)
class Context:
    """A trace and the platform its lines are judged on; barriers are read when first needed."""

    store: Store
    platform: Platform
    pes: int
    barriers: Barriers | None = None

    def replay(self) -> Replay:
        """Return a line before its first event."""
        if self.barriers is None:
            self.barriers = Barriers(self.store)
        return Replay(self.platform, self.pes, self.barriers)


class _Members:
    """What lists of addresses have in common; not for use on its own."""

    noun = "event"

    def __init__(self, context: Context, members: Addresses) -> None:
        self.context, self.members = context, members

    def __len__(self) -> int:
        return len(self.members)

    def event(self, index: int) -> Event:
        return self.context.store.events(self.members[index : index + 1])[0]

    def position(self, index: int) -> str:
        return f"{index + 1:,}/{len(self):,}"

    def row_of(self, number: int) -> int:
        return number - 1

    def toggle(self, index: int) -> int | None:
        return None

    def close(self, index: int) -> int | None:
        return None

    def toggle_all(self, index: int) -> int | None:
        return None

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        return None

    @property
    def complete(self) -> bool:
        return True

    def grow(self) -> None:
        pass

    def reveal(self, found: int) -> int:
        return found

    def findings(self, index: int) -> Sequence[Finding]:
        return ()

    def place(self, index: int) -> Place:
        return place_of(self.event(index))

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        total = len(self)
        words = wanted.casefold().split()
        for start in range(1, total + 1, _SEARCHED_AT_ONCE):
            distances = range(start, min(total + 1, start + _SEARCHED_AT_ONCE))
            rows = [(index + step * distance) % total for distance in distances]
            for row, event in zip(rows, self.context.store.events(self.members[rows]), strict=True):
                text = trace_row.text_of(event)
                if all(word in text for word in words):
                    yield Searched(row, 1.0, around=(row - index) * step <= 0)
                    return
            yield Searched(None, start / total)


class TracedLine(_Members):
    """All events of a line, with the states of its cells."""

    pages = ("state", "rule")

    def __init__(self, context: Context, members: Addresses, line: int) -> None:
        super().__init__(context, members)
        self.line = line
        self._replay: Replay | None = None

    @property
    def heading(self) -> str:
        return f"line at PA {self.line:#x}: {len(self):,} events, on {self.context.platform.name}"

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        events = self.context.store.events(self.members[start:stop])
        return [self._row(start + n, event, width) for n, event in enumerate(events)]

    def _row(self, index: int, event: Event, width: int) -> Row:
        row = trace_row.row(event, index + 1, len(self), line=False)
        found = self._situations(index, event)
        if found is not None:
            before, after = found
            change = f" {state_page.changed(before, after)} "
            row.truncate(width - max(len(change), 8), overflow="ellipsis", pad=True)
            row.append(change, look.FAINT if before == after else look.CHANGED)
        return Row(row)

    def below(self, index: int) -> Rows | None:
        return None

    def _moment(self, index: int) -> line_replay.Moment | None:
        if index >= _FOLLOWED:
            return None
        if self._replay is None:
            self._replay = self.context.replay()
        done = len(self._replay.moments)
        for start in range(done, index + 1, _SEARCHED_AT_ONCE):
            stop = min(index + 1, start + _SEARCHED_AT_ONCE)
            for event in self.context.store.events(self.members[start:stop]):
                self._replay.follow(event)
        return self._replay.moments[index]

    def _situations(self, index: int, event: Event) -> tuple[Situation, Situation] | None:
        """Return what may be the case of the first cell that an event touches, before and after it."""
        moment = self._moment(index)
        if moment is None:
            return None
        cell = line_replay.touched(event)[0]
        return self._situation(moment.before, cell), self._situation(moment.after, cell)

    def _situation(self, cells: Cells, cell: int) -> Situation:
        states = tuple(sorted({branch.state for branch in cells[cell].branches}))
        contents = contents_of(self.context.platform)
        return Situation(states, contents.bars(contents.of_state(state) for state in states))

    def page(self, name: str, index: int) -> list[Text]:
        event = self.event(index)
        lines = look.page(trace_row.said(event))
        if name == "repair":
            return look.page(_NO_REPAIR)
        moment, found = self._moment(index), self._situations(index, event)
        if moment is None or found is None:
            return [
                *lines,
                *look.page(["", f"Not followed beyond {_FOLLOWED:,} events of a line."]),
            ]
        before, after = found
        stale = line_replay.stale(event, moment.before)
        if stale is not None:
            source = " (the data side; instruction caches are not followed)" * (event.op == "if")
            lines.append(look.marked(f"  {'may be stale' if stale else 'fresh'}{source}"))
        lines.append(Text())
        if name == "rule":
            return [*lines, *self._rule(before)]
        cells = [self._situation(moment.after, cell) for cell in range(line_replay.CELLS)]
        lines += state_page.cells([each.states for each in cells], line_replay.touched(event))
        lines.append(Text())
        lines += state_page.table(before, after)
        lines.append(Text())
        meanings = emit.names(automaton_of(self.context.platform))
        lines += state_page.states(before, after, meanings)
        return lines

    def _rule(self, before: Situation) -> list[Text]:
        platform = self.context.platform
        lines = [f"Rule: {state_page.GENERAL_RULE}"]
        for number in before.states:
            lines += ["", *state_page.automaton_row(platform, number)]
        return look.page(lines)


class SiteEvents(_Members):
    """All events of a call site; below each, its line."""

    pages = ()

    def __init__(
        self,
        context: Context,
        members: Addresses,
        site: str,
        lines: Callable[[Event], TracedLine | None],
    ) -> None:
        super().__init__(context, members)
        self._site, self._lines = site, lines

    @property
    def heading(self) -> str:
        return f"call site {self._site}: {len(self):,} events"

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        events = self.context.store.events(self.members[start:stop])
        return [
            Row(trace_row.row(e, start + n + 1, len(self), line=True)) for n, e in enumerate(events)
        ]

    def below(self, index: int) -> Rows | None:
        return self._lines(self.event(index))

    def page(self, name: str, index: int) -> list[Text]:
        return event_page(name, self.event(index))


def event_page(name: str, event: Event) -> list[Text]:
    """Return the preview or the repair of an event."""
    return look.page(_NO_REPAIR if name == "repair" else trace_row.said(event))


def place_of(event: Event) -> Place:
    """Return why there is no source line."""
    what = trace_row.place(event) or "what no instruction did"
    return Place(None, 0, f"no source line for {what}: a trace keeps symbols, not source lines")


_NO_REPAIR = ("Repair: an event is no finding.", "  `pocwatch replay` judges the trace.")
