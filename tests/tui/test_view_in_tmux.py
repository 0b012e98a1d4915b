"""The viewer in a real terminal: keys go in through tmux, what is on the screen comes out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import reports
from viewers import report

import pocwatch
from pocwatch.report import json
from pocwatch.sanitizer import suppressions
from pocwatch.sanitizer.symbols.lines import SourceLine

REPORT = Path(__file__).parents[2] / "docs" / "examples" / "dropped.json"
COLUMNS, LINES = 80, 24
PATIENCE_SECONDS = 30

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="there is no tmux: tools/setup installs it on Debian"
)


class Terminal:
    """A screen of tmux with a program in it."""

    def __init__(self, folder: Path, command: list[str], **env: str) -> None:
        self._socket = str(folder / "tmux")
        variables = {"PYTHONPATH": str(Path(pocwatch.__file__).parents[1]), **env}
        words = ["env", "-u", "NO_COLOR", *(f"{k}={v}" for k, v in variables.items()), *command]
        # What the program says and how it ends stays on the screen.
        shell = f"{shlex.join(words)}; echo ended with $?; cat"
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), shell)

    def tmux(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *args],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"},
        )
        return done.stdout

    def screen(self, *options: str) -> list[str]:
        return self.tmux("capture-pane", "-p", *options).splitlines()

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def until(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Return the screen once it is as it should be; fail with it when it takes too long."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds(lines := self.screen()):
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.05)
        return lines

    def at(self, path: str) -> list[str]:
        """Wait until the bar at the bottom says this."""
        return self.until(lambda s: len(s) == LINES and s[-2].split("  ")[0].strip() == path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def go(*args: str, **env: str) -> Terminal:
        code = "from pocwatch.cli.main import main; main()"
        started.append(Terminal(tmp_path, [sys.executable, "-c", code, "view", *args], **env))
        return started[-1]

    yield go
    for each in started:
        each.tmux("kill-server")


def test_from_the_findings_to_the_rule_and_out(start: Callable[..., Terminal]) -> None:
    terminal = start(str(REPORT))
    lines = terminal.until(lambda s: any("finding 1/" in line for line in s))
    (count,) = re.findall(r"finding 1/(\d+)", lines[-2])
    assert lines[0].startswith(f" {count} findings of ")
    terminal.press("j")
    terminal.until(lambda s: "finding 1/" not in s[-2])
    (finding,) = re.findall(r"(finding \d+/\d+)", terminal.screen()[-2])
    terminal.press("l")
    lines = terminal.until(lambda s: "› event 1/" in s[-2])
    (event,) = re.findall(r"(event 1/\d+)", lines[-2])
    assert any("dc civac" in line and "!" in line for line in lines)  # the one that was dropped
    terminal.press("l")
    lines = terminal.at(f"{finding} › {event} › state")
    levels = [line.split()[0] for line in lines if re.match(r"  (L\w+|memory) ", line)]
    assert levels[-2:] == ["L3", "memory"]
    terminal.press("l")
    lines = terminal.at(f"{finding} › {event} › state › rule")
    assert any(line.startswith('Rule: Arm ARM DDI 0487, "') for line in lines)
    terminal.press("h")
    terminal.at(f"{finding} › {event} › state")
    terminal.press("h", "h")
    terminal.at(finding)
    terminal.press("/", *"lost-write", "Enter")
    lines = terminal.until(lambda s: s[-1].startswith("'lost-write'"))
    (found,) = re.findall(r"finding (\d+)/", lines[-2])
    row = next(line for line in lines[1:] if line.split()[:1] == [found])
    assert "lost-write" in row
    terminal.press("q")
    lines = terminal.until(lambda s: any("ended with" in line for line in s))
    assert [line for line in lines if line] == ["ended with 0"]  # the screen is as it was before


def test_the_editor_gets_the_source_line_and_the_viewer_comes_back(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "linux" / "arch").mkdir(parents=True)
    (tmp_path / "linux" / "arch" / "cache.S").write_text("nop\n" * 9)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "$@" > args\necho editing\nread line\n')
    editor.chmod(0o755)
    first = reports.findings()[0]
    access = replace(first.access, source=SourceLine("arch/cache.S", 7))
    json.write(reports.report(findings=[replace(first, access=access)]), tmp_path / "r.json")
    definition = "xgene-l3"  # the made report names a platform that does not exist
    text = (tmp_path / "r.json").read_text().replace('"fake-l3"', f'"{definition}"')
    (tmp_path / "r.json").write_text(text)
    terminal = start("r.json", "--source", "linux", VISUAL=str(editor))
    terminal.at("finding 1/1")
    terminal.press("o")
    terminal.until(lambda s: "editing" in s)
    terminal.press("Enter")
    terminal.at("finding 1/1")
    assert (tmp_path / "args").read_text() == "+7 linux/arch/cache.S\n"


def test_colours_are_those_of_the_terminal_and_no_color_has_none(
    start: Callable[..., Terminal],
) -> None:
    terminal = start(str(REPORT))
    terminal.until(lambda s: any("stale-fetch" in line for line in s))
    escapes = re.findall(r"\x1b\[([\d;]*)m", "\n".join(terminal.screen("-e")))
    codes = {code for each in escapes for code in each.split(";")}
    assert {"31", "7"} <= codes  # red, and the cursor's row in reverse
    assert not codes & {"38", "48"}  # no colour beyond the 16


def test_no_color(start: Callable[..., Terminal]) -> None:
    terminal = start(str(REPORT), NO_COLOR="1")
    terminal.until(lambda s: any("stale-fetch" in line for line in s))
    escapes = re.findall(r"\x1b\[([\d;]*)m", "\n".join(terminal.screen("-e")))
    codes = {int(code) for each in escapes for code in each.split(";") if code}
    assert 7 in codes
    assert not codes & {*range(30, 39), *range(40, 49), *range(90, 98)}


def test_suppressing_writes_the_default_file(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    json.write(report(), tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text().replace('"fake-l3"', '"xgene-l3"')
    (tmp_path / "r.json").write_text(text)
    terminal = start("r.json")
    terminal.at("finding 1/12")
    terminal.press("j", "s")
    lines = terminal.until(lambda s: "because:" in s[-1])
    assert "pocwatch-suppressions.toml" in lines[-1]
    terminal.press(*"known", "Enter")
    terminal.until(lambda s: s[-1].startswith("1 entry appended to pocwatch-suppressions.toml"))
    (entry,) = suppressions.load(tmp_path / "pocwatch-suppressions.toml")
    assert entry.reason == "known"
