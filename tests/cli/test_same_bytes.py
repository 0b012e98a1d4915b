"""The same command gives the same bytes: whatever the hash seed, with every random number seeded.

`seconds`, the time that a search took, is the one value that a clock gives.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from test_replay_command import machine, write

from pocwatch.cli.main import cli
from pocwatch.report import json
from pocwatch.sanitizer.findings import Report

SOURCE = Path(__file__).parents[2] / "src"
COMMANDS = {
    "check": ["--scenario", "boot-image,swap", "--platform", "xgene-l3", "--json", "-", "--jobs", "2"],
    "check explain": ["swap", "none", "--json"],
    "synth": ["--scenarios", "boot-image", "--platform", "fwb", "--json", "-", "--jobs", "2"],
    "bench": ["--guest-ram", "64M", "--vcpus", "4,8", "--json", "-"],
    "line": ["--platform", "xgene-l3", "--json", "P0 st wb; P0 dc cvau; P0 dsb; P1 ld dev; P1 if wb"],
    "automaton": ["--platform", "xgene-l3", "--format", "json"],
    "report": ["REPORT", "--json", "OUT"],
    "replay": ["TRACE", "--platform", "xgene-l3-up", "--json", "OUT", "--jobs", "2", "--quiet"],
    "mutate": ["--json", "OUT", "--jobs", "2", "--quiet", "TRACE"],
}
# What they say depends on a machine, or on this computer; `completion` and `view` have no JSON.
ELSEWHERE = {"run", "user", "record", "demo", "calibrate", "doctor", "completion", "view"}
_SECONDS = re.compile(rb'^ *"seconds": [\d.e-]+,?$', re.MULTILINE)
DRAWS = {"cost/start/latency.py"}  # with the seed of `bench`
RANDOM = {"random", "secrets", "uuid", "numpy.random"}


def said(words: list[str], hash_seed: str, folder: Path) -> bytes:
    """What a command writes: its standard output and the file OUT."""
    out = folder / "out"
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from pocwatch.cli.main import main; main()"),
            *(str(out) if word == "OUT" else word for word in words),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout + (out.read_bytes() if out.exists() else b"")


def test_every_command_is_here() -> None:
    assert set(cli.list_commands(click.Context(cli))) <= set(COMMANDS) | ELSEWHERE


@pytest.mark.parametrize("name", COMMANDS)
def test_twice_is_the_same(
    name: str, tmp_path: Path, plugin_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCWATCH_PLUGIN", str(plugin_path))  # traces are judged by it
    report = Report(complete=True, platform="fwb", qemu="10", command=("pocwatch", "run"))
    json.write(report, tmp_path / "REPORT")
    write(tmp_path / "TRACE", machine())
    words = [*name.split(), *COMMANDS[name]]
    first, second = (_SECONDS.sub(b"", said(words, seed, tmp_path)) for seed in ("1", "77"))
    assert len(first) > 100
    assert first == second


def test_the_seed_is_printed(tmp_path: Path) -> None:
    words = ["bench", "--guest-ram", "64M", "--policy", "poc-on-fault", "--vcpus", "8"]
    shown = {seed: said([*words, "--seed", seed], "1", tmp_path) for seed in ("0", "5")}
    for seed, text in shown.items():
        assert f"drawn with --seed {seed}.".encode() in text
    assert said(words, "1", tmp_path) == shown["0"]


def test_only_what_has_a_seed_draws_random_numbers() -> None:
    drawing = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if RANDOM & set(names):
                drawing.add(str(path.relative_to(SOURCE / "pocwatch")))
    assert drawing == DRAWS
