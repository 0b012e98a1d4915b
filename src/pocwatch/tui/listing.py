"""A list on the screen: draws the rows of one screen, and asks for no others."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Span, Text
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pocwatch.tui import look
from pocwatch.tui.source import Fold, Row, Rows

_WHEEL_ROWS = 3
_CONTEXT_ROWS = 2  # kept in sight before and behind the cursor, as less and vim do


class Listing(Widget):
    """The rows of a level with a cursor."""

    class Chosen(Message):
        """A row was clicked: at its fold's marker, or again."""

        def __init__(self, *, fold: bool) -> None:
            super().__init__()
            self.fold = fold

    class Moved(Message):
        """The mouse has moved the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows | None = None
        self.cursor = 0
        self.top = 0
        self._window: Sequence[Row] = ()
        self._drawn: tuple[int, int, int] | None = None  # top, height, width of the window

    @property
    def length(self) -> int:
        """How many rows there are."""
        return 0 if self.rows is None else len(self.rows)

    def show(self, rows: Rows, cursor: int = 0, top: int = 0) -> None:
        """Show another list, or the same one when its rows have changed."""
        self.rows = rows
        self._drawn = None
        self.cursor = max(0, min(cursor, len(rows) - 1))
        self.top = top
        self._keep_in_sight()
        self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on a row, the nearest there is."""
        index = max(0, min(index, self.length - 1))
        if index == self.cursor:
            return
        before, top = self.cursor, self.top
        self.cursor = index
        self._keep_in_sight()
        if self.top == top:
            for row in (before, index):
                self.refresh(Region(0, row - top, self.size.width, 1))
        else:
            self.refresh()

    def page(self, direction: int) -> None:
        """Move by a screen, two rows of it staying in sight; where that is the end, to the end."""
        step = max(1, self.size.height - _CONTEXT_ROWS)
        before = self.top
        self.top += direction * step
        self._limit()
        at_end = self.top == before
        self.move_to(self.cursor + direction * (self.length if at_end else step))
        self.refresh()

    def _limit(self) -> None:
        self.top = max(0, min(self.top, self.length - max(1, self.size.height)))

    def _keep_in_sight(self) -> None:
        height = max(1, self.size.height)
        context = min(_CONTEXT_ROWS, (height - 1) // 2)
        if abs(self.cursor - self.top) > 2 * height:
            self.top = self.cursor - height // 2
        self.top = min(self.top, self.cursor - context)
        self.top = max(self.top, self.cursor - height + 1 + context)
        self._limit()

    def on_resize(self) -> None:
        self._keep_in_sight()
        self.refresh()

    def _row(self, y: int) -> Row | None:
        size = self.size
        wanted = (self.top, size.height, size.width)
        if self._drawn != wanted and self.rows is not None:
            stop = min(self.length, self.top + size.height)
            self._window = self.rows.window(self.top, stop, size.width)
            self._drawn = wanted
        return self._window[y] if y < len(self._window) else None

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        row = self._row(y)
        if row is None:
            return Strip.blank(width, look.PLAIN)
        text = look.printable(row.text).copy()
        text.truncate(width - len(row.marker), overflow="ellipsis", pad=True)
        text.append(row.marker, look.FAINT)
        text.end = ""
        if self.top + y == self.cursor:
            text = Text(text.plain, end="", spans=[Span(0, len(text.plain), look.BAR)])
        return look.strip(text, self.app.console, width)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        row = self._row(event.y)
        if row is None:
            return
        index = self.top + event.y
        on_marker = row.fold is not Fold.NONE and event.x >= self.size.width - len(row.marker)
        again = index == self.cursor
        self.move_to(index)
        self.post_message(self.Chosen(fold=on_marker) if on_marker or again else self.Moved())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._wheel(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._wheel(-_WHEEL_ROWS)

    def _wheel(self, rows: int) -> None:
        """Scroll; the cursor is taken along when it would be left behind."""
        self.top += rows
        self._limit()
        last = self.top + max(1, self.size.height) - 1
        self.refresh()
        self.move_to(max(self.top, min(self.cursor, last)))
        self.post_message(self.Moved())
