"""What the viewer shows: lists of rows, read window by window, and pages of text below them.

A list may have ten million rows. Nobody asks it for more than a screen of them at a time, and a search
comes in pieces, between which the viewer lives on and may give up. Implemented for reports
(`report_source`) and for traces (`trace_source`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.text import Text

from pocwatch.sanitizer.findings import Finding


class SourceError(Exception):
    """What a row stands for cannot be shown; the message is one line for the status line."""


class Fold(enum.Enum):
    """Whether a row stands for others below it."""

    NONE = "none"
    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list. `marker` ends it, at the right edge: the fold's."""

    text: Text
    fold: Fold = Fold.NONE
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the source code: a file and a line, or why that is not known."""

    file: str | None
    line: int
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """A piece of a search: the row that was found, or how far it is."""

    found: int | None  # a row, for `reveal`
    done: float = 0.0  # 0 to 1
    around: bool = False  # found around the end


class Rows(Protocol):
    """A list of one level. Indices count the rows that are shown, folded ones are not."""

    @property
    def noun(self) -> str:
        """What a row is, singular: `finding`, `event`."""
        ...

    @property
    def heading(self) -> str:
        """What the list is about, in one line."""
        ...

    @property
    def pages(self) -> Sequence[str]:
        """The names of the levels below that are pages, from here inwards; () if rows are below."""
        ...

    def __len__(self) -> int: ...

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        """Return the rows from `start` to before `stop`, laid out in `width` columns."""
        ...

    def position(self, index: int) -> str:
        """Return where a row is among all, such as `3/12`."""
        ...

    def below(self, index: int) -> Rows | None:
        """Return the level below a row, None if there is none. Raise SourceError."""
        ...

    def page(self, name: str, index: int) -> list[Text]:
        """Return a page of a row: one of `pages`, or `preview` or `repair`."""
        ...

    def toggle(self, index: int) -> int | None:
        """Open or close the fold of a row; return the row to be at then, None if it has none."""
        ...

    def close(self, index: int) -> int | None:
        """Close the fold that a row is in; return its first row, None if it is in none."""
        ...

    def toggle_all(self, index: int) -> int | None:
        """Open all folds, or close them if all are open."""
        ...

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        """Return the same in another order, the row to be at, and what to call it; None: no other."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the list is all there; if not, `grow` makes more of it."""
        ...

    def grow(self) -> None:
        """Read more of what the list is made from; called in a thread."""
        ...

    def row_of(self, number: int) -> int:
        """Return the index of what `position` counts, from 1."""
        ...

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        """Look for a text from the row behind (`step` 1) or before (-1) this one, around the end."""
        ...

    def reveal(self, found: int) -> int:
        """Return the index of a row that a search found, its fold opened."""
        ...

    def place(self, index: int) -> Place:
        """Return the source line of a row's instruction."""
        ...

    def findings(self, index: int) -> Sequence[Finding]:
        """Return what would be suppressed, () if it is no finding."""
        ...
