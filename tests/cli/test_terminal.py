"""Escape sequences: on a terminal that understands them, and not where the user wants none.

Every command is run on a pseudo-terminal; what is written over (the status line) is the one thing that
NO_COLOR does not take away, and `TERM=dumb` does.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
import synthetic_trace
from fake_machine import FakeQemu
from test_replay_command import machine, write

from pocwatch.cli import demo, terminal
from pocwatch.cli.main import cli
from pocwatch.report import json
from pocwatch.sanitizer.findings import Report

SOURCE = str(Path(__file__).parents[2] / "src")
ERASE = "\r\x1b[2K"
ESCAPE = "\x1b"
WORD = "P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev"
# Command -> arguments with which it says something; `QEMU` stands for a fake one, `REPORT`,
# `TRACE` and `OUT` for files.
COMMANDS = {
    "run": ["--", "QEMU", "-M", "virt", "-cpu", "cortex-a57", "-m", "64"],
    "record": ["-o", "OUT", "--platform", "fwb", "--", "QEMU", "-M", "virt", "-cpu", "cortex-a57"],
    "replay": ["--platform", "cortex-a57-up", "TRACE"],
    "mutate": ["--platform", "cortex-a57-up", "TRACE"],
    "report": ["REPORT"],
    "check": ["--scenario", "boot-image", "--platform", "xgene-l3", "--policy", "none,poc-on-fault"],
    "check explain": ["boot-image", "pou-on-fault"],
    "synth": ["--scenarios", "boot-image", "--platform", "cortex-a57", "--max-seconds", "1"],
    "bench": ["--guest-ram", "64M", "--policy", "poc-on-fault"],
    "line": ["--platform", "xgene-l3", WORD],
    "automaton": ["--platform", "cortex-a57"],
    "completion": ["bash"],
    "doctor": ["--qemu", "QEMU"],
}
EMPTY = Report(complete=True, platform="auto", qemu="10", command=("pocwatch",))
# They need other machines; what they show on a terminal is tested below, and of `view` in tests/tui.
ELSEWHERE = {"demo", "calibrate", "user", "view"}
COLOURS = {"check", "check explain", "doctor"}  # commands that use them


def on_a_terminal(words: list[str], **env: str) -> str:
    """Everything that a command writes, both streams on one terminal."""
    parent, child = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", *words],
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
        env={**inherited, "PYTHONPATH": SOURCE, "TERM": "xterm", **env},
    )
    os.close(child)
    data = b""
    while True:
        try:
            piece = os.read(parent, 4096)
        except OSError:  # Linux: EIO when the other end is closed
            break
        if not piece:
            break
        data += piece
    os.close(parent)
    assert process.wait() in (0, 1), data.decode()
    return data.decode()


def words_of(name: str, fake_qemu: FakeQemu) -> list[str]:
    folder = fake_qemu().parent
    files = {word: str(folder / word) for word in ("REPORT", "TRACE", "RAW", "OUT")}
    json.write(EMPTY, folder / "REPORT")
    write(folder / "TRACE", machine())
    (folder / "RAW").write_bytes(synthetic_trace.stream(300))
    traced = {"trace": files["RAW"]} if name == "record" else {}
    files["QEMU"] = str(fake_qemu(sleep=0.6, **traced))
    return [*name.split(), *(files.get(word, word) for word in COMMANDS[name])]


def test_every_command_is_here() -> None:
    assert set(cli.list_commands(click.Context(cli))) <= set(COMMANDS) | ELSEWHERE


@pytest.fixture
def judge(plugin_path: Path, fake_qemu: FakeQemu) -> dict[str, dict[str, str]]:
    """By command, what is in the environment: traces are judged by the real plugin."""
    real = {"POCWATCH_PLUGIN": str(plugin_path)}
    return {"replay": real, "mutate": real}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_color_leaves_only_the_status_line(
    name: str, fake_qemu: FakeQemu, judge: dict[str, dict[str, str]]
) -> None:
    shown = on_a_terminal(words_of(name, fake_qemu), NO_COLOR="1", **judge.get(name, {}))
    assert shown.strip()
    assert ESCAPE not in shown.replace(ERASE, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dumb_terminal_gets_no_escape_sequence(
    name: str, fake_qemu: FakeQemu, judge: dict[str, dict[str, str]]
) -> None:
    shown = on_a_terminal(words_of(name, fake_qemu), TERM="dumb", **judge.get(name, {}))
    assert shown.strip()
    assert ESCAPE not in shown


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_colours_are_there_otherwise(name: str, fake_qemu: FakeQemu) -> None:
    """So that the tests above are not empty."""
    words = words_of(name, fake_qemu)
    assert ESCAPE in on_a_terminal(words).replace(ERASE, "")
    assert ESCAPE in on_a_terminal([*words, "--color", "always"], NO_COLOR="1").replace(ERASE, "")
    assert ESCAPE not in on_a_terminal([*words, "--color", "never"]).replace(ERASE, "")


def test_an_empty_no_color_counts_as_none(fake_qemu: FakeQemu) -> None:
    shown = on_a_terminal(words_of("check", fake_qemu), NO_COLOR="")
    assert ESCAPE in shown.replace(ERASE, "")


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_a_pipe_gets_colours_only_when_asked(name: str, fake_qemu: FakeQemu) -> None:
    words = words_of(name, fake_qemu)

    def piped(*more: str) -> str:
        code = "from pocwatch.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words, *more],
            env={**os.environ, "PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == "", "no status line in a pipe"
        return done.stdout

    assert ESCAPE not in piped()
    assert ESCAPE in piped("--color", "always")


class Screen:
    """A standard error that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def on_a_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Put a screen where standard error is; in a fixture pytest would put its own back."""
    made = Screen()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_the_status_line_is_written_over_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_a_screen(monkeypatch)
    line = terminal.StatusLine(enabled=True)
    line.say("one")
    line.say("two")
    line.clear()
    line.clear()
    assert screen.text == f"{ERASE}one{ERASE}two{ERASE}"


def test_the_status_line_is_not_written_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_a_screen(monkeypatch)
    line = terminal.StatusLine(enabled=True, every_seconds=3600)
    for text in ("one", "two", "three"):
        line.say(text, last=text == "three")
    assert screen.text == f"{ERASE}one{ERASE}three"


def test_a_line_that_is_not_enabled_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_a_screen(monkeypatch)
    line = terminal.StatusLine(enabled=False)
    line.say("one")
    line.clear()
    assert screen.text == ""


@pytest.mark.parametrize(("done", "hashes"), [(0, 0), (1, 10), (3, 30)])
def test_the_bar_is_filled(done: int, hashes: int) -> None:
    assert terminal.bar(done, 3) == f"[{'#' * hashes}{'-' * (30 - hashes)}] {done}/3"


def test_the_demonstration_shows_its_panels_without_colours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's own switch: takes the output for a terminal
    demo._show([EMPTY] * len(demo.CASES))
    shown = capsys.readouterr().out
    assert "KVM as it is" in shown
    assert ESCAPE not in shown
