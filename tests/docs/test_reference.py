"""docs/reference.md names every key, kind and word that there is, and no others where it lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import reports
from pages import ROOT

from pocwatch import platforms
from pocwatch.arch.ops import BY_SPELLING
from pocwatch.cli.main import cli
from pocwatch.cost import model
from pocwatch.report import json
from pocwatch.sanitizer import errors, suppressions

TEXT = (ROOT / "docs" / "reference.md").read_text()


def section(title: str) -> str:
    """The text of a section, up to the next heading of any level."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"reference.md has no section {title!r}"
    return match[1]


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def first_column(text: str) -> set[str]:
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return set().union(*map(quoted, rows)) - {"[[levels]]"}


def sample() -> dict[str, Any]:
    """The JSON of a report with findings, as the renderers' tests make it."""
    return json.data(reports.report())


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_key_of_the_json_report_is_described() -> None:
    page = (ROOT / "docs" / "report-format.md").read_text()
    data = sample()
    per_name = {"maintenance", "redundant", "dropped"}  # keyed by operation or rule
    of_platforms = {"platform_definition"}  # keyed as platform files are
    inner = {k: v for k, v in data.items() if k not in per_name | of_platforms}
    assert set(data) | set(keys(list(inner.values()))) <= first_column(page)


def test_suppression_keys_are_the_accepted_ones() -> None:
    accepted = suppressions.Suppression.__dataclass_fields__
    assert first_column(section("Suppression files")) == set(accepted)


def accepted_keys(text: str) -> set[str]:
    """The keys that the reader of platform files says it accepts, given one it does not."""
    with pytest.raises(platforms.PlatformError, match="unknown key 'bogus'") as caught:
        platforms.parse(text, "x")
    return set(str(caught.value).rsplit("accepted are ", 1)[1].split(", "))


def test_platform_keys_are_the_accepted_ones() -> None:
    said = first_column(section("Platforms").split("| key | meaning |", 1)[1])
    top = accepted_keys("bogus = 1")
    of_level = accepted_keys('pes = 1\nfirst_unified = "L1"\n[[levels]]\nbogus = 1')
    assert said == (top - {"levels"}) | of_level


def test_cost_keys_are_the_accepted_ones() -> None:
    accepted = []
    first = next(iter(model.COSTS))
    for text in ("bogus = 1", f"[{first}]\nbogus = 1"):
        with pytest.raises(model.CostError, match="unknown key") as caught:
            model.parse(text, "x")
        accepted.append(set(str(caught.value).rsplit("accepted are ", 1)[1].split(", ")))
    top, of_cost = accepted
    said = first_column(section("Cost sets").split("| key | meaning |", 1)[1])
    assert said == (top - set(model.COSTS)) | of_cost


def test_every_word_of_line_is_named() -> None:
    words = {word for span in quoted(section("`pocwatch line`")) for word in span.split()}
    for spelling in BY_SPELLING:
        assert set(spelling.split()) <= words, f"{spelling!r} is not in the reference"


def test_exit_codes_and_commands_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d) \|", section("Exit codes"), re.MULTILINE)
    assert list(map(int, rows)) == [
        errors.EXIT_CLEAN,
        errors.EXIT_FINDINGS,
        errors.EXIT_USAGE,
        errors.EXIT_MACHINE,
    ]
    titles = set(re.findall(r"^## `pocwatch (\w+)`$", TEXT, re.MULTILINE))
    assert titles == set(cli.commands or cli.list_commands(None))  # type: ignore[arg-type]
