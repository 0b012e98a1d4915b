"""Completion: what click's machinery offers, what a real bash does with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem, ShellComplete

from pocwatch import platforms
from pocwatch.cli.main import cli
from pocwatch.cost import model
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.scenarios import SCENARIOS

SOURCE = str(Path(__file__).parents[2] / "src")


def offered(*words: str) -> list[CompletionItem]:
    """What is offered for the last word."""
    shell = ShellComplete(cli, {}, "pocwatch", "_POCWATCH_COMPLETE")
    return shell.get_completions(list(words[:-1]), words[-1])


def names(*words: str) -> list[str]:
    return [item.value for item in offered(*words)]


def test_every_command_is_offered() -> None:
    assert names("") == cli.list_commands(click.Context(cli))


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("run", "--platform"), ["auto", *platforms.names()]),
        (("line", "--platform"), platforms.names()),
        (("automaton", "--platform"), platforms.names()),
        (("synth", "--platform"), platforms.names()),
        (("bench", "--platform"), platforms.names()),
        (("check", "--platform"), platforms.names()),
        (("check", "--policy"), POLICIES),
        (("check", "--scenario"), SCENARIOS),
        (("check", "explain"), SCENARIOS),
        (("check", "explain", "swap"), POLICIES),
        (("check", "explain", "--platform"), platforms.names()),
        (("synth", "--scenarios"), SCENARIOS),
        (("synth", "--costs"), model.names()),
        (("bench", "--costs"), model.names()),
        (("bench", "--policy"), POLICIES),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_names_are_offered(words: tuple[str, ...], known: list[str]) -> None:
    assert names(*words, "") == list(known)


def test_the_last_of_a_list_is_completed_and_offered_once() -> None:
    assert names("check", "--scenario", "swap,boot-i") == ["swap,boot-image"]
    rest = [f"swap,{name}" for name in SCENARIOS if name != "swap"]
    assert names("check", "--scenario", "swap,") == rest


def test_what_is_no_name_is_left_to_the_shell_as_a_file() -> None:
    for words in (("check", "--policy", "./mine"), ("run", "--", "qemu-sys")):
        (item,) = offered(*words)
        assert item.type == "file"


def test_an_unknown_command_on_the_line_is_no_error() -> None:
    assert names("bogus", "") == cli.list_commands(click.Context(cli))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_for_their_shell(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "completion", shell],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_POCWATCH_COMPLETE={shell}_complete" in done.stdout
    assert done.stderr == ""
    program = shutil.which(shell)
    if program is not None:  # the script is in that shell's language
        script = tmp_path / "script"
        script.write_text(done.stdout)
        subprocess.run([program, "-n", str(script)], check=True)


def test_in_a_real_bash(tmp_path: Path) -> None:
    program = tmp_path / "pocwatch"
    code = "from pocwatch.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    asked = (
        'eval "$(pocwatch completion bash)"\n'
        "COMP_WORDS=(pocwatch line --platform cortex); COMP_CWORD=3\n"
        "$(complete -p pocwatch | sed 's/.*-F \\([^ ]*\\).*/\\1/') pocwatch\n"
        'echo "offered: ${COMPREPLY[*]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-i", "-c", asked],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": SOURCE,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # an interactive shell takes the terminal
        check=True,
    )
    wanted = [name for name in platforms.names() if name.startswith("cortex")]
    assert f"offered: {' '.join(wanted)}\n" in done.stdout
