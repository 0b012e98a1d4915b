"""`pocwatch automaton`: every format, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pocwatch import platforms
from pocwatch.line import emit
from pocwatch.line.table import automaton_of

SOURCE = str(Path(__file__).parents[2] / "src")


def automaton(*args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "automaton", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, **env},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("name", platforms.names())
def test_table_is_the_default(name: str) -> None:
    shown = automaton("--platform", name).stdout
    assert shown == emit.text(automaton_of(platforms.load(name)))
    assert automaton("--platform", name, "--format", "table").stdout == shown


def test_json() -> None:
    value = json.loads(automaton("--platform", "xgene-l3", "--format", "json").stdout)
    assert value == emit.json_value(automaton_of(platforms.load("xgene-l3")))


@pytest.mark.parametrize(("form", "begins"), [("dot", "digraph "), ("markdown", "### ")])
def test_text_formats(form: str, begins: str) -> None:
    shown = automaton("--platform", "l2x0-up", "--format", form).stdout
    assert shown.startswith(begins)
    emitted = {"dot": emit.dot, "markdown": emit.markdown}[form]
    assert shown == emitted(automaton_of(platforms.load("l2x0-up")))


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
def test_svg() -> None:
    drawn = automaton("--platform", "cortex-a57", "--format", "svg").stdout
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    for state in range(automaton_of(platforms.load("cortex-a57")).states):
        assert f">s{state}<" in drawn


def test_svg_without_dot(tmp_path: Path) -> None:
    done = automaton("--platform", "cortex-a57", "--format", "svg", code=2, PATH=str(tmp_path))
    (said,) = done.stderr.splitlines()
    assert "dot" in said
    assert "graphviz" in said
    assert done.stdout == ""


def test_platform_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('pes = 1\nfirst_unified = "memory"\n[[levels]]\nname = "L1D"\n')
    assert automaton("--platform", str(path)).stdout.startswith("tiny: L1D; ")


def test_refused() -> None:
    for args, said in (
        ((), "--platform"),
        (("--platform", "cortex-a99"), "cortex-a57"),
        (("--platform", "fwb", "--format", "png"), "svg"),
    ):
        done = automaton(*args, code=2)
        (error,) = done.stderr.splitlines()
        assert said in error
        assert done.stdout == ""
