"""A page of text on the screen, below a rule with its title."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pocwatch.tui import look

_WHEEL_ROWS = 3


class Paper(Widget):
    """A page, scrolled by lines. Lines that are too long are broken."""

    class Pressed(Message):
        """The page was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.top = 0
        self._title = ""
        self._lines: Sequence[Text] = ()
        self._fitted: list[Text] = []
        self._width = 0

    def show(self, title: str, lines: Sequence[Text], *, keep_place: bool = False) -> None:
        """Show a page from its first line, or from where the one before was."""
        self._title, self._lines = title, lines
        self._width = 0
        if not keep_place:
            self.top = 0
        self._fit()
        self.refresh()

    def _fit(self) -> None:
        if self._width != self.size.width and self.size.width:
            self._width = self.size.width
            self._fitted = look.fitted(self._lines, self._width - 1)
        self.top = max(0, min(self.top, len(self._fitted) - self._room))

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    def on_resize(self) -> None:
        self._fit()
        self.refresh()

    def scroll(self, lines: int) -> None:
        """Scroll, at most to the ends."""
        self.top += lines
        self._fit()
        self.refresh()

    def page(self, direction: int) -> None:
        """Scroll by a screen."""
        self.scroll(direction * max(1, self._room - 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._drawn(self._rule(width))
        index = self.top + y - 1
        if index >= len(self._fitted):
            return Strip.blank(width, look.PLAIN)
        return self._drawn(self._fitted[index])

    def _drawn(self, text: Text) -> Strip:
        text = look.printable(text).copy()
        text.end = ""
        text.stylize(text.style)  # a text without spans is rendered without its own style, too
        text.truncate(self.size.width, overflow="ellipsis")
        return look.strip(text, self.app.console, self.size.width)

    def _rule(self, width: int) -> Text:
        below = len(self._fitted) - self.top - self._room
        more = f" {below} more {'line' if below == 1 else 'lines'} ──" if below > 0 else "──"
        head = f"── {self._title} "
        rule = Text(head, end="")
        rule.append("─" * max(0, width - rule.cell_len - len(more)), look.FAINT)
        rule.append(more, look.FAINT)
        rule.stylize(look.HEADING, 3, len(head))
        return rule

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Pressed())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll(-_WHEEL_ROWS)
