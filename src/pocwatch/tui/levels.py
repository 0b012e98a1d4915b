"""Where the user is: lists opened one below the other, then pages, and what lies over all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.text import Text

from pocwatch.tui.source import Rows

LIST = -1  # as `page`: no page is open


@dataclass(slots=True)
class Level:
    """A list and the row one is at; `top` is the first one in sight."""

    rows: Rows
    cursor: int = 0
    top: int = 0


@dataclass(frozen=True, slots=True)
class Pane:
    """A page that is no level, such as help; `whole` if it hides the list."""

    title: str
    lines: list[Text]
    whole: bool


@dataclass(slots=True)
class Position:
    """The levels from the first one inwards, the open page of the last, and a pane over them."""

    levels: list[Level]
    page: int = LIST
    pane: Pane | None = field(default=None)

    @property
    def level(self) -> Level:
        """The innermost list."""
        return self.levels[-1]

    @property
    def page_name(self) -> str | None:
        """The page that is open, None for the list."""
        return None if self.page == LIST else self.level.rows.pages[self.page]

    def inwards(self) -> bool:
        """Go one level in; return whether there is one."""
        rows = self.level.rows
        if not len(rows):
            return False
        if rows.pages:
            if self.page + 1 == len(rows.pages):
                return False
            self.page += 1
            return True
        below = rows.below(self.level.cursor)
        if below is None:
            return False
        self.levels.append(Level(below))
        return True

    def outwards(self) -> bool:
        """Go one level out; return whether there is one."""
        if self.page != LIST:
            self.page -= 1
        elif len(self.levels) > 1:
            self.levels.pop()
        else:
            return False
        return True

    def path(self) -> str:
        """Return where one is: `finding 3/12 › event 4/7 › state`."""
        parts = [
            f"{each.rows.noun} {each.rows.position(each.cursor)}"
            if len(each.rows)
            else f"no {each.rows.noun}s"
            for each in self.levels
        ]
        if self.page != LIST:
            parts += self.level.rows.pages[: self.page + 1]
        return " › ".join(parts)
