"""Links inside the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT, all_pages, page_id, prose

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
PAGES = [*all_pages(), ROOT / "CHANGELOG.md"]


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown renderer gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    for match in _LINK.finditer(prose(page)):
        target, _, anchor = match["target"].partition("#")
        if target.startswith(("https:", "http:", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page_id(page)}: {match['target']}"
        assert file.is_relative_to(ROOT), f"{page_id(page)}: {match['target']} is elsewhere"
        if anchor:
            assert anchor in anchors(file), f"{page_id(page)}: {match['target']}"


def test_decisions_are_numbered_without_gaps_and_say_what_they_must() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(r.name[:4]) for r in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {int(record.name[:4])}. ")
        for part in ("Context", "Choice", "Alternatives", "Cost"):
            assert f"**{part}.**" in text, f"{record.name} has no {part}"
