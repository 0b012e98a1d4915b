"""`pocwatch synth`: fronts, exit codes, what is left out, bad input in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")


def synth(*args: str, code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "synth", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(*args: str) -> str:
    done = synth(*args, code=2)
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    return said.removeprefix("pocwatch: error: ")


def value(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(synth(*args, "--json", "-", "--jobs", "1", code=0).stdout)
    return found


def test_boot_image_alone_has_a_proved_front_whose_parts_are_all_needed(tmp_path: Path) -> None:
    file = tmp_path / "front.json"
    text = synth("--scenarios", "boot-image", "--json", str(file), "--jobs", "1", code=0).stdout
    found = json.loads(file.read_text())
    assert found["scenarios"] == ["boot-image"]
    assert found["complete"] is found["confirmed"] is True
    assert found["front"]
    for policy in found["front"]:
        for part in policy["parts"]:
            dropped = part["without"][0]
            assert (dropped["instead"], dropped["scenario"]) == (None, "boot-image")
            assert dropped["steps"] > 0
    assert found["reference"]["policy"] == "mainline-2021"
    assert found["reference"]["refuted"] == []
    assert found["compared"].startswith("Better than mainline: policy ")
    assert "safe in: boot-image\n" in text
    assert "without: boot-image (" in text
    assert "Proved: each of the " in text
    assert found["compared"] in text


def test_what_no_policy_wins_is_said_and_user_space_may_win_it() -> None:
    text = synth("--scenarios", "late-load,boot-image", "--jobs", "1", code=1).stdout
    assert "left out: late-load: no policy of the space is safe there" in text
    assert "no policy found\nProved: none of the " in text
    found = value("--scenarios", "late-load", "--user-space")
    hooks = {part["hook"] for policy in found["front"] for part in policy["parts"]}
    assert "at_user_space_write" in hooks
    assert found["compared"].startswith("mainline-2021 is not safe in all of these scenarios")


def test_a_search_cut_short_claims_nothing() -> None:
    text = synth("--max-seconds", "0", "--scenarios", "boot-image", code=1).stdout
    assert "no policy found\nNot complete: " in text


def test_with_fwb_and_dic_no_maintenance_is_best() -> None:
    found = value("--platform", "fwb-dic", "--scenarios", "boot-image,swap,icache-isolation")
    assert [policy["parts"] for policy in found["front"]] == [[]]
    assert [c["choice"] for c in found["front"][0]["choices"]] == ["forces_wb"]
    assert found["reference"]["policy"] == "fwb-dic"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--scenarios", "boot-imag"), "no scenario 'boot-imag'; near matches: boot-image"),
        (("--scenarios", "x"), "no scenario 'x'; "),
        (("--platform", "xgene"), "--platform: unknown platform 'xgene': accepted are "),
        (("--costs", "cheap"), "unknown cost set 'cheap': accepted are "),
        (("--json", "/nowhere/front.json"), "--json /nowhere/front.json: it cannot be written"),
        (("--jobs", "0"), "'--jobs'"),
        (("--max-seconds", "-1"), "'--max-seconds'"),
    ],
)
def test_bad_input_is_one_line(args: tuple[str, ...], said: str) -> None:
    assert said in refused(*args)
