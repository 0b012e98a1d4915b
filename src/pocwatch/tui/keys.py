"""The keys of the viewer, once: the program binds them, its help and the documentation list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """What one or more keys do. `keys` as Textual names them; the first is the one that is taught."""

    action: str
    keys: tuple[str, ...]
    text: str
    short: str = ""  # in the line of hints at the top; empty: not there


KEYS = (
    Key("next", ("j", "down"), "next row; with a page open, the next event's page", "next"),
    Key("previous", ("k", "up"), "previous row", "prev"),
    Key("inwards", ("l", "enter", "right"), "one level in", "in"),
    Key(
        "outwards", ("h", "left", "backspace"), "back out one level; closes panes and folds", "out"
    ),
    Key("close", ("escape",), "close help, a pane or the fold; stop a search"),
    Key("first", ("g", "home"), "first row"),
    Key("last", ("G", "end"), "last row"),
    Key("page_down", ("space", "pagedown", "ctrl+f"), "a screen on, of the page if one is open"),
    Key("page_up", ("b", "pageup", "ctrl+b"), "a screen back"),
    Key("search", ("slash",), "search in all that is said of a row, in any case", "find"),
    Key("again", ("n",), "next match"),
    Key("again_back", ("N",), "previous match"),
    Key("go", ("colon",), "go to the row of a number"),
    Key("fold", ("z",), "open or close the fold", "fold"),
    Key("fold_all", ("Z",), "open or close every fold"),
    Key("thread", ("t",), "of a trace: in order of time, by line, by call site"),
    Key("preview", ("p",), "show or hide the preview"),
    Key("open", ("o",), "open the source line in $VISUAL or $EDITOR", "source"),
    Key("repair", ("r",), "show the repair", "repair"),
    Key("suppress", ("s",), "suppress: asks why, appends to the suppression file", "supp"),
    Key("help", ("question_mark",), "these keys", "help"),
    Key("quit", ("q", "ctrl+c"), "quit", "quit"),
)
_SHOWN: Mapping[str, str] = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "backspace": "Backspace",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}
MOUSE = (
    ("click", "select the row; on the selected row: one level in"),
    ("click on +N or −", "open or close the fold"),
    ("click on the preview", "one level in"),
    ("wheel", "scroll what is under the pointer"),
)


def shown(key: str) -> str:
    """Return a key as people write it."""
    if key.startswith("ctrl+"):
        return f"Ctrl-{key[-1].upper()}"
    return _SHOWN.get(key, key)


def table() -> list[tuple[str, str]]:
    """Return the keys of each action, and what they do; the mouse behind them."""
    found = [(" ".join(shown(key) for key in each.keys), each.text) for each in KEYS]
    return [*found, *MOUSE]


def hints() -> str:
    """Return the line of hints: the keys that one needs first."""
    order = [each for each in KEYS if each.short]
    return " ".join(f"{shown(each.keys[0])}:{each.short}" for each in order)
