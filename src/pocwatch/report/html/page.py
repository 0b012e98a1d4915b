"""The page: one file with its style, script and data in it, and nothing that is fetched.

A content security policy says so to the browser, too: no address is allowed, and only this style and this
script by their hashes. Names in the data may be anything (symbols, file names); the script puts
them into the page as text, never as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources

from pocwatch.report import text
from pocwatch.report.html.data import data
from pocwatch.sanitizer.findings import Report

# In the order in which the script needs them.
SCRIPTS = (
    "dom.js",
    "theme.js",
    "words.js",
    "platform.js",
    "bars.js",
    "timeline.js",
    "automaton.js",
    "finding.js",
    "summary.js",
    "list.js",
    "keys.js",
    "main.js",
)
_WITHOUT_SCRIPT = 20  # findings in the text for browsers that run no script


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def embedded(value: object) -> str:
    """Return JSON that may stand in a script element: nothing in it ends one or begins a comment."""
    found = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        found = found.replace(character, f"\\u{ord(character):04x}")
    return _sayable(found)


def _sayable(found: str) -> str:
    """Write unpaired surrogates (from odd file names), which UTF-8 has not, as JSON does."""
    return found.encode("utf-8", "backslashreplace").decode("utf-8")


def render(report: Report) -> str:
    """Return the page's text."""
    style = _asset("style.css")
    script = "\n".join(["'use strict';", *(_asset(name) for name in SCRIPTS)])
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    kept = {
        "POLICY": policy,
        "STYLE": style,
        "DATA": embedded(data(report)),
        "SCRIPT": script,
        "TEXT": html.escape(_sayable(text.render(report, _WITHOUT_SCRIPT))),
    }
    parts = _asset("page.html").split("@@")
    return "".join(kept[part] if n % 2 else part for n, part in enumerate(parts))
