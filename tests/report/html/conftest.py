"""A browser for the HTML report: Debian's chromium, headless, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no playwright: the HTML report is not tried in a browser"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Opened:
    """A page in the browser, what it asked the network for, and what it complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def current(self) -> str | None:
        """The id of the finding that has the focus."""
        return self.page.evaluate(
            "document.activeElement.closest('.finding')?.id ?? null"
        )  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium: the HTML report is not tried in a browser")
    with playwright.sync_playwright() as running:
        # As root, in a container, chromium has no sandbox of its own; the pages are ours.
        launched = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open a file: `look(path, width=1200, scheme="light", fragment="")`."""
    contexts: list[Any] = []

    def opened(
        path: Path, *, width: int = 1200, scheme: str = "light", fragment: str = ""
    ) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on(
            "console",
            lambda said: found.complaints.append(said.text) if said.type != "log" else None,
        )
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.goto(path.as_uri() + fragment)
        return found

    yield opened
    for context in contexts:
        context.close()
