"""How things look: few styles, of the 16 colours that every terminal has and its user has chosen.

Nothing is said by colour alone, so that NO_COLOR loses nothing: marks, words and reverse video stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import wrap

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

PLAIN = Style()
BAR = Style(reverse=True)
HEADING = Style(bold=True)
FAINT = Style(color="bright_black")
BAD = Style(color="red", bold=True)
CHANGED = Style(color="yellow")
GOOD = Style(color="green")
CODE = Style(color="cyan")

_MARKS = (
    (re.compile(r"^[A-Z][\w ,]*(?: \([^)]*\))?:"), HEADING),
    (re.compile(r"^ *\^[ ^]*$"), BAD),
    (re.compile(r"\b(?:may be stale|stale|lost)\b"), CHANGED),
    (re.compile(r"\b(?:dropped|weakened) by rule\b"), BAD),
    (re.compile(r"\b[A-Za-z_]\w*\+0x[0-9a-f]+"), CODE),
)


def marked(line: str) -> Text:
    """Return a line of a page with its headings, symbols and bad news styled."""
    text = Text(line, end="")
    for pattern, style in _MARKS:
        for match in pattern.finditer(line):
            text.stylize(style, *match.span())
    return text


def strip(text: Text, console: Console, width: int) -> Strip:
    """Return a line of the screen. Every segment has a style: Textual's filters expect one."""
    segments = [Segment(s.text, s.style or PLAIN) for s in text.render(console)]
    return Strip(segments).adjust_cell_length(width, PLAIN)


def printable(text: Text) -> Text:
    """Return a text without what a terminal would act on: symbols and reasons come from files."""
    if text.plain.isprintable():
        return text
    plain = "".join(c if c.isprintable() else "?" for c in text.plain)
    return Text(plain, spans=text.spans, end="")


def page(lines: Iterable[str]) -> list[Text]:
    """Return lines as a page."""
    return [marked(line) for line in lines]


def fitted(lines: Iterable[Text], width: int) -> list[Text]:
    """Return a page's lines broken to a width; what is broken goes on with its own indent and two."""
    fitting: list[Text] = []
    for line in lines:
        if line.cell_len <= width:
            fitting.append(line)
            continue
        indent = len(line.plain) - len(line.plain.lstrip())
        broken = wrap(
            line.plain,
            max(width, indent + 10),
            subsequent_indent=" " * (indent + 2),
            break_on_hyphens=False,
        )
        fitting += page(broken)
    return fitting
