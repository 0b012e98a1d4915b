"""docs/the-thread.md: every claim once, with what the tool says now, and a trace where there is one."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pages import ROOT, generator

from pocwatch.cli.main import cli

generate = generator()
from thread import claims  # noqa: E402  # docs/thread, which the generator found

PAGE = ROOT / "docs" / "the-thread.md"
TEXT = PAGE.read_text()
TRACES = ROOT / "docs" / "traces"
CLAIMS = claims.load()
TOOL = claims.Verdict
ANEW = "stale: run `python docs/generate.py`"


def section(claim: Any) -> str:
    match = re.search(rf"^### {claim.id}: (.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"{claim.id} has no section"
    return match[1]


# --- Claims ------------------------------------------------------------------------------------------


def test_every_claim_of_the_thread_is_there_once() -> None:
    expected = [f"A{number}" for number in range(1, 25)]
    assert [claim.id for claim in CLAIMS] == expected
    assert re.findall(r"^\| \[(A\d+)\]", TEXT, re.MULTILINE) == expected
    assert sorted(re.findall(r"^### (A\d+):", TEXT, re.MULTILINE)) == sorted(expected)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_decided_with_a_reason_or_says_why_not(claim: Any) -> None:
    assert claim.claim
    assert claim.history_why
    if claim.undecided:
        assert not claim.parts
        assert claim.undecided in section(claim)
    else:
        assert claim.reason
        assert claim.parts
        for part in claim.parts:
            assert part.cells or part.accesses
            assert all(cell.needs for cell in part.cells)
        assert all(cell.needs is None for cell in claim.shown)


def unexplained(claim: Any) -> bool:
    return (claim.agrees is False) != bool(claim.disagreement.strip())


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_disagreements_with_history_are_explained_and_nothing_else_is(claim: Any) -> None:
    assert not unexplained(claim), f"{claim.id}: history {claim.history}, tool {claim.tool}"
    assert ("**Why they disagree.**" in section(claim)) == bool(claim.disagreement)


def test_a_disagreement_that_is_not_explained_is_seen() -> None:
    (wrong,) = (claim for claim in CLAIMS if claim.id == "A19")
    assert not unexplained(wrong)
    assert unexplained(dataclasses.replace(wrong, history=TOOL.RIGHT))
    assert unexplained(dataclasses.replace(wrong, disagreement="there is none"))


def test_the_verdict_on_a_claim_follows_from_its_parts() -> None:
    safe = claims.Cell("boot-image", "poc-on-fault", "xgene-l3", needs="safe")
    held = claims.Part("holds", (safe,))
    not_held = claims.Part("does not", (dataclasses.replace(safe, needs="unsafe"),))
    of = {
        (held,): TOOL.RIGHT,
        (not_held,): TOOL.WRONG,
        (held, not_held): TOOL.PARTLY,
        (): TOOL.UNDECIDED,
    }
    for parts, verdict in of.items():
        assert dataclasses.replace(CLAIMS[0], parts=parts).tool is verdict


# --- Computed text -----------------------------------------------------------------------------------


def test_the_page_is_fresh() -> None:
    assert generate.rendered(TEXT) == TEXT, f"{PAGE.name} is {ANEW}"


def test_the_traces_are_fresh_and_nothing_else_lies_around() -> None:
    written = {file.name: file.read_text() for file in TRACES.iterdir()}
    assert written == generate.the_thread.traces(), f"docs/traces is {ANEW}"


def test_each_trace_is_linked_and_leads_back() -> None:
    linked = set(re.findall(r"\]\(traces/([^)#]+)\)", TEXT))
    assert linked == {file.name for file in TRACES.iterdir()}
    for name in linked:
        for claim in re.findall(r"\[(A\d+)\]\(\.\./the-thread", (TRACES / name).read_text()):
            (mine,) = (c for c in CLAIMS if c.id == claim)
            assert name in section(mine)


# --- Commands ----------------------------------------------------------------------------------------

_SHOWN = re.compile(
    r"^- `(?P<command>pocwatch check [^`]+)`\n  \*\*(?P<verdict>[^*]+)\*\*"
    r"(?:, proved over (?P<states>[\d,]+) states|, \[counterexample of (?P<steps>\d+) steps\]|: )",
    re.MULTILINE,
)
SHOWN = {match["command"]: match for match in _SHOWN.finditer(TEXT)}
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as the page shows it, in the project's folder; its exit code and its JSON."""
    monkeypatch.chdir(ROOT)

    def run(command: str, *options: str) -> tuple[int, Any]:
        program, *words = shlex.split(command)
        assert program == "pocwatch"
        done = CliRunner().invoke(cli, [*words, *options], standalone_mode=False)
        assert done.exception is None, f"{command}: {done.exception}"
        return done.return_value, json.loads(done.stdout)

    return run


def test_every_command_is_one_that_is_run_here() -> None:
    assert set(re.findall(r"`(pocwatch check --[^`]+)`", TEXT)) == set(SHOWN)


@pytest.mark.parametrize(
    "command", SHOWN, ids=lambda command: command.removeprefix("pocwatch check ")
)
def test_a_command_gives_the_verdict_that_is_printed(command: str, run: Run) -> None:
    said = SHOWN[command]
    code, answer = run(command, "--json", "-")
    (cell,) = answer["results"]
    assert cell["verdict"] == said["verdict"]
    assert code == (0 if said["verdict"] in ("safe", "n/a") else 1)
    if said["states"]:
        assert cell["states"] == int(said["states"].replace(",", ""))
    if said["steps"]:
        assert len(cell["trace"]) == int(said["steps"])


@pytest.mark.parametrize("file", sorted(TRACES.iterdir()), ids=lambda file: file.stem)
def test_the_word_of_a_trace_ends_with_a_read_that_may_be_stale(file: Path, run: Run) -> None:
    checked, replayed = re.findall(r"^- `(pocwatch [^`]+)`$", file.read_text(), re.MULTILINE)
    assert checked in SHOWN
    code, answer = run(replayed, "--json")
    assert code == 1
    assert answer["reads"][-1]["verdict"] in ("stale", "unsynced")


# --- How to use check ---------------------------------------------------------------------------------


def test_code_shown_from_examples_is_theirs() -> None:
    text = (ROOT / "docs" / "howto-check.md").read_text()
    shown = re.findall(
        r"^```python example=(\S+)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert shown
    for name, body in shown:
        assert body in (ROOT / "docs" / "examples" / name).read_text(), name


def test_every_example_is_used_on_the_page() -> None:
    text = (ROOT / "docs" / "howto-check.md").read_text()
    for file in (ROOT / "docs" / "examples").glob("*.py"):
        assert re.search(rf"^(\$ )?pocwatch check .*docs/examples/{file.name}", text, re.MULTILINE)
