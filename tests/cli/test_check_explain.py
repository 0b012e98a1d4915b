"""`pocwatch check explain`: exit codes, outputs, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")


def explain(*args: str, code: int, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "check", "explain", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, **env},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_a_counterexample() -> None:
    told = explain("boot-image", "pou-on-fault", code=1).stdout
    assert told.startswith("boot-image × pou-on-fault on xgene-l3: unsafe\n")
    assert "at_map: dc cvac; dsb" in told
    assert "\x1b" not in told


def test_safe_and_not_applicable() -> None:
    assert ": safe" in explain("boot-image", "mainline-2021", code=0).stdout
    assert "FEAT_S2FWB" in explain("boot-image", "fwb", code=0).stdout


def test_unknown() -> None:
    told = explain("boot-image", "mainline-2021", "--max-states", "5", code=1).stdout
    assert "Not known" in told


def test_json_with_a_platform_and_an_instruction_cache() -> None:
    args = ("swap", "mainline-2014", "--platform", "cortex-a57", "--icache", "vipt", "--json")
    value = json.loads(explain(*args, code=1).stdout)
    assert (value["platform"], value["verdict"]) == ("cortex-a57", "unsafe")
    assert set(value["rows"][0]["caches"]) == {"L1D", "L2", "memory", "pending"}


def test_how_stage_2_forces_fetches() -> None:
    """Facts B1.14: by the other reading a vCPU with its MMU off still fetches past the caches."""
    args = ("icache-isolation", "fwb", "--platform", "fwb")
    assert ": safe" in explain(*args, "--fwb-fetches", "forced", code=0).stdout
    explain(*args, "--fwb-fetches", "unforced", code=0)


def test_dot() -> None:
    drawn = explain("boot-image", "pou-on-fault", "--dot", "-", code=1).stdout
    assert drawn.startswith("digraph ")


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
def test_svg(tmp_path: Path) -> None:
    path = tmp_path / "story.svg"
    told = explain("boot-image", "pou-on-fault", "--svg", str(path), code=1).stdout
    assert "unsafe" in told
    assert "<svg" in path.read_text()


def test_svg_without_graphviz(tmp_path: Path) -> None:
    args = ("boot-image", "pou-on-fault", "--svg", str(tmp_path / "s.svg"))
    done = explain(*args, code=2, PATH=str(tmp_path))
    (said,) = done.stderr.splitlines()
    assert "install graphviz" in said
    assert done.stdout == ""


def test_policy_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from pocwatch.arch.ops import Op\n"
        "class Mine:\n"
        "    name = 'mine'\n"
        "    origin = 'a test'\n"
        "    def at_map(self, occasion):\n"
        "        return (Op.DC_CVAC,)\n"
    )
    told = explain("boot-image", str(path), code=1).stdout
    assert "mine" in told
    path.write_text(path.read_text().replace("(Op.DC_CVAC,)", "1 / 0"))
    (said,) = explain("boot-image", str(path), code=2).stderr.splitlines()
    assert "ZeroDivisionError" in said
    assert "mine.py:6" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "SCENARIO"),
        (("boot-image",), "POLICY"),
        (("boot-imag", "none"), "boot-image"),
        (("boot-image", "poc-on-faults"), "poc-on-fault"),
        (("boot-image", "none", "--platform", "cortex-a99"), "cortex-a57"),
        (("boot-image", "none", "--icache", "vivt"), "vipt"),
        (("boot-image", "none", "--dot", "/no/such/folder/x.dot"), "/no/such/folder/x.dot"),
    ],
)
def test_refused(args: tuple[str, ...], said: str) -> None:
    done = explain(*args, code=2)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert done.stdout == ""
