"""The viewer: a list, a page beside or below it, a bar above, a bar and a line for messages below."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input, Static
from textual.worker import Worker

from pocwatch.sanitizer import suppressions
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.tui import accept, editor, keys, look
from pocwatch.tui.accept import AcceptError
from pocwatch.tui.editor import EditorError
from pocwatch.tui.levels import LIST, Level, Pane, Position
from pocwatch.tui.listing import Listing
from pocwatch.tui.paper import Paper
from pocwatch.tui.source import Rows, SourceError

_WIDE = 150  # columns from which on the page is beside the list
_PAGE_WIDTH = 80
_LEAST_PREVIEW = 5  # rows, its rule included


class Viewer(App[None]):
    """Shows a report or a trace."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    #head, #status { height: 1; text-style: reverse; }
    #body { height: 1fr; overflow: hidden; }
    #foot { height: 1; layout: horizontal; }
    #message { height: 1; width: 1fr; }
    #label { height: 1; width: auto; }
    #answer { height: 1; width: 1fr; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, keys are acted on one after the other, however fast they come.
        Binding(",".join(each.keys), each.action, each.text, show=False, priority=True)
        for each in keys.KEYS
    ]

    def __init__(
        self,
        rows: Rows,
        name: str,
        *,
        suppression_file: Path = accept.DEFAULT_FILE,
        accepted: list[Suppression] | None = None,
        source_roots: Sequence[Path] = (Path(),),
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.position = Position([Level(rows)])
        self._file_name = name
        self._suppression_file = suppression_file
        self._accepted = [] if accepted is None else accepted
        self._source_roots = source_roots
        self._preview = True
        self._message = ""
        self._wanted = ""  # what was searched last
        self._searching: Worker[None] | None = None
        self._answered: Callable[[str], None] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        with Container(id="body"):
            yield Listing()
            yield Paper()
        yield Static(id="status", markup=False)
        with Container(id="foot"):
            yield Static(id="message", markup=False)
            yield Static(id="label", markup=False)
            yield Input(id="answer", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self.listing = self.query_one(Listing)
        self.paper = self.query_one(Paper)
        self._lend_foot(to_question=False)
        self._show_level()
        self._grow()

    def _grow(self) -> None:
        """Read the rest of a list that is shown before all of it is known."""
        self.run_worker(self._grown(self.level.rows), group="growing", exclusive=True)

    async def _grown(self, rows: Rows) -> None:
        while not rows.complete:
            await asyncio.to_thread(rows.grow)
            if self.level.rows is rows:
                self._remember()
                self.listing.show(rows, self.level.cursor, self.level.top)
                self._draw(keep_place=True)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    # What is on the screen

    @property
    def level(self) -> Level:
        return self.position.level

    def _show_level(self) -> None:
        level = self.level
        self.listing.show(level.rows, level.cursor, level.top)
        self._draw()

    def _remember(self) -> None:
        self.level.cursor, self.level.top = self.listing.cursor, self.listing.top

    def _draw(self, *, keep_place: bool = False) -> None:
        """Draw all but the list: the page beside it and the bars."""
        position = self.position
        rows, cursor = self.level.rows, self.level.cursor
        self._arrange()
        if position.pane is not None:
            self.paper.show(position.pane.title, position.pane.lines)
        elif not len(rows):
            self.paper.show("nothing to show", [])
        elif self.paper.display:
            name = position.page_name or "preview"
            title = name if position.page != LIST else f"{rows.noun} {rows.position(cursor)}"
            self.paper.show(title, rows.page(name, cursor), keep_place=keep_place)
        self.query_one("#head", Static).update(
            look.printable(Text(f" {rows.heading}", no_wrap=True, overflow="ellipsis", end=""))
        )
        self._draw_status()

    def _draw_status(self) -> None:
        path = f" {self.position.path()}"
        if self.position.pane is not None:
            path += f" › {self.position.pane.title}"
        status = Text(path, no_wrap=True, overflow="ellipsis", end="")
        room = self.size.width - len(self._file_name) - 1
        if status.cell_len < room:
            status.truncate(room, pad=True)
            status.append(self._file_name)
        self.query_one("#status", Static).update(status)
        said = Text(self._message or keys.hints(), end="")
        message = look.printable(said).copy()
        message.truncate(self.size.width, overflow="ellipsis")
        if not self._message:
            message.stylize(look.FAINT)
        self.query_one("#message", Static).update(message)

    def _arrange(self) -> None:
        """Give the list and the page their shares of the screen."""
        position = self.position
        width, height = self.size.width, self.size.height - 3
        pane = position.pane
        page_open = position.page != LIST or pane is not None
        self.listing.display = pane is None or not pane.whole
        self.paper.display = page_open or (self._preview and height >= 3 * _LEAST_PREVIEW)
        body = self.query_one("#body")
        listing, paper = self.listing.styles, self.paper.styles
        if not self.listing.display or not self.paper.display:
            shares: tuple[Any, ...] = ("1fr", "1fr", "1fr", "1fr")
            beside = False
        elif width >= _WIDE:
            beside = True
            shares = ("1fr", "1fr", _PAGE_WIDTH, "1fr")
        else:
            beside = False
            most = height // 4 if page_open else height * 11 // 20
            rows = max(3, min(len(self.level.rows), max(most, 3)))
            shares = ("1fr", rows, "1fr", "1fr")
        body.styles.layout = "horizontal" if beside else "vertical"
        listing.width, listing.height, paper.width, paper.height = shares

    def say(self, message: str) -> None:
        """Show a message until the next key."""
        self._message = message
        self._draw_status()

    # Moving

    def _moved(self) -> None:
        self._message = ""
        self._remember()
        self._draw()

    def on_listing_moved(self) -> None:
        self._moved()

    def _go(self, index: int) -> None:
        if self.position.pane is not None and self.position.pane.whole:
            return
        self._message = ""
        self.position.pane = None
        self.listing.move_to(index)
        self._moved()

    def action_next(self) -> None:
        if self._in_whole_pane():
            self.paper.scroll(1)
        else:
            self._go(self.listing.cursor + 1)

    def action_previous(self) -> None:
        if self._in_whole_pane():
            self.paper.scroll(-1)
        else:
            self._go(self.listing.cursor - 1)

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(self.listing.length - 1)

    def _in_whole_pane(self) -> bool:
        return self.position.pane is not None and self.position.pane.whole

    def action_page_down(self) -> None:
        self._page(1)

    def action_page_up(self) -> None:
        self._page(-1)

    def _page(self, direction: int) -> None:
        if self.position.page != LIST or self.position.pane is not None:
            self.paper.page(direction)
        else:
            self.listing.page(direction)
            self._moved()

    def action_inwards(self) -> None:
        self._message = ""
        if self.position.pane is not None:
            return
        self._remember()
        levels = len(self.position.levels)
        try:
            there_is = self.position.inwards()
        except SourceError as error:
            self.say(str(error))
            return
        if not there_is:
            self.say(self._no_deeper())
        elif len(self.position.levels) > levels:
            self._show_level()
        else:
            self._relaid()

    def _no_deeper(self) -> str:
        rows = self.level.rows
        if rows.pages and len(rows):
            return "this is the innermost level"
        if not rows.complete:
            return "still reading"
        return "this belongs to no line: nothing is below it" if len(rows) else "nothing here"

    def action_outwards(self) -> None:
        self._message = ""
        if self.position.pane is not None:
            self.action_close()
            return
        self._remember()
        levels = len(self.position.levels)
        if self.position.outwards():
            if len(self.position.levels) < levels:
                self._show_level()
            else:
                self._relaid()
        elif not self._folded(self.level.rows.close):
            self.say("this is the outermost level; q quits")

    def _relaid(self) -> None:
        """Draw after the shares of the screen have changed."""
        self._draw()
        self.listing.show(self.level.rows, self.level.cursor, self.level.top)

    # Folds

    def _folded(self, change: Callable[[int], int | None]) -> bool:
        """Open or close folds; return whether there were any to open or close."""
        if self.position.page != LIST or not len(self.level.rows):
            return False
        index = change(self.listing.cursor)
        if index is None:
            return False
        self._message = ""
        self.level.cursor = index
        self._show_level()
        return True

    def action_fold(self) -> None:
        if not self._folded(self.level.rows.toggle):
            self.say("nothing is folded here")

    def action_fold_all(self) -> None:
        if not self._folded(self.level.rows.toggle_all):
            self.say("nothing is folded here")

    def action_close(self) -> None:
        """Close the innermost of what can be closed: a question, a pane, a search, a fold."""
        self._message = ""
        if self._answered is not None:
            self._asked(None)
        elif self.position.pane is not None:
            self.position.pane = None
            self._relaid()
        elif self._searching is not None:
            self._searching.cancel()
            self._searching = None
            self.say("search stopped")
        else:
            self._folded(self.level.rows.close)
            self._draw_status()

    def action_thread(self) -> None:
        found = None
        if self.position.page == LIST and len(self.level.rows):
            found = self.level.rows.rethread(self.listing.cursor)
        if found is None:
            self.say("findings are folded by cause; only traces can be folded otherwise")
            return
        self.level.rows, self.level.cursor, by = found
        self._show_level()
        self.say(by)
        self._grow()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        if event.fold:
            self.action_fold()
        else:
            self.action_inwards()

    def on_paper_pressed(self) -> None:
        if self.position.page == LIST and self.position.pane is None:
            self.action_inwards()

    # Panes

    def action_help(self) -> None:
        lines = [
            Text.assemble((f"  {given:<22}", look.CODE), text, end="")
            for given, text in keys.table()
        ]
        self._lay_over(Pane("help", [*look.page(_LEVELS), *lines], whole=True))

    def action_repair(self) -> None:
        if len(self.level.rows):
            lines = self.level.rows.page("repair", self.listing.cursor)
            self._lay_over(Pane("repair", lines, whole=False))

    def _lay_over(self, pane: Pane) -> None:
        self._message = ""
        same = self.position.pane is not None and self.position.pane.title == pane.title
        self.position.pane = None if same else pane
        self._relaid()

    def action_preview(self) -> None:
        self._preview = not self._preview
        self._relaid()

    # Questions on the last line

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys to a question while one is asked, but for the one that closes it."""
        asking = self._answered is not None and action in _ACTIONS
        return action == "close" if asking else super().check_action(action, parameters)

    def _ask(self, label: str, then: Callable[[str], None], given: str = "") -> None:
        self._answered = then
        self.query_one("#label", Static).update(Text(label))
        answer = self.query_one(Input)
        answer.value = given
        answer.cursor_position = len(given)
        self._lend_foot(to_question=True)
        # At once: the next key, or the rest of a paste, may have been typed already.
        self.screen.set_focus(answer)

    def _lend_foot(self, *, to_question: bool) -> None:
        """Show the question or the message on the last line."""
        self.query_one("#message").display = not to_question
        self.query_one("#label").display = self.query_one(Input).display = to_question

    def _asked(self, value: str | None) -> None:
        then, self._answered = self._answered, None
        self.screen.set_focus(None)
        self._lend_foot(to_question=False)
        if value is not None and then is not None:
            then(value)
        else:
            self._draw_status()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._asked(event.value)

    # Search

    def action_search(self) -> None:
        self._ask("/", self._search_for)

    def _search_for(self, wanted: str) -> None:
        self._wanted = wanted or self._wanted
        self._search(1)

    def action_again(self) -> None:
        self._search(1)

    def action_again_back(self) -> None:
        self._search(-1)

    def _search(self, step: int) -> None:
        if not self._wanted:
            self.say("nothing was searched yet: / asks for what")
        elif len(self.level.rows):
            if self._searching is not None:
                self._searching.cancel()
            self._searching = self.run_worker(self._look_for(self._wanted, step))

    async def _look_for(self, wanted: str, step: int) -> None:
        """Search piece by piece, each in a thread, so that keys are answered in between."""
        level = self.level
        pieces = level.rows.search(wanted, self.listing.cursor, step)
        piece = None
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if piece.found is not None:
                break
            self.say(f"searching {wanted!r}: {piece.done:.0%} (Esc stops)")
        self._searching = None
        if level is not self.level:
            return
        if piece is None or piece.found is None:
            self.say(f"{wanted!r} is not found")
            return
        level.cursor = level.rows.reveal(piece.found)
        self._message = ""
        self._show_level()
        self.say(f"{wanted!r}, around the end" if piece.around else f"{wanted!r}")

    def action_go(self) -> None:
        self._ask(f"{self.level.rows.noun} number: ", self._go_to_number)

    def _go_to_number(self, value: str) -> None:
        digits = value.replace(",", "").strip()
        if digits.isdecimal() and int(digits) and len(self.level.rows):
            self._go(self.level.rows.row_of(int(digits)))
            self._show_level()
        elif value.strip():
            self.say(f"{value!r} is no number of a row: 1 to {len(self.level.rows):,}")

    # What is done to the row

    def action_open(self) -> None:
        if not len(self.level.rows):
            return
        try:
            place = self.level.rows.place(self.listing.cursor)
            words = editor.command(place, self._source_roots)
            with self.suspend():
                editor.show(words)
        except EditorError as error:
            self.say(str(error))
        except SuspendNotSupported:
            self.say("this terminal cannot be lent to an editor")

    def action_suppress(self) -> None:
        if not len(self.level.rows):
            return
        try:
            found = accept.acceptable(self.level.rows.findings(self.listing.cursor))
        except AcceptError as error:
            self.say(str(error))
            return
        what = "it" if len(found) == 1 else f"all {len(found)} of this cause"
        self._ask(
            f"suppress {what} in {self._suppression_file}, because: ",
            lambda reason: self._suppress(found, reason),
        )

    def _suppress(self, found: list[Finding], reason: str) -> None:
        file = self._suppression_file
        try:
            added = accept.append(file, found, reason)
            self._accepted[:] = suppressions.load(file)
        except (AcceptError, UsageError) as error:
            self.say(str(error))
            return
        self._relaid()
        entries = "1 entry" if added == 1 else f"{added} entries"
        self.say(f"{entries} appended to {file}" if added else f"{file} has it already")

    async def action_quit(self) -> None:
        self.exit()


_ACTIONS = frozenset(each.action for each in keys.KEYS)
_LEVELS = ("Levels: findings > events of the line > state of the caches > the rule",)
