"""`pocwatch bench`: its text, JSON, pictures, resuming, and bad input in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
MAIN = "from pocwatch.cli.main import main; main()"
SMALL = ("--guest-ram", "1G,4G", "--policy", "poc-on-fault,user-space")


def bench(*args: str, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "bench", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUTF8": "1"},
        cwd=cwd,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(*args: str, cwd: Path | None = None) -> str:
    done = bench(*args, code=2, cwd=cwd)
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("pocwatch: error: ")
    return said


def test_text_and_json_say_the_same_twice(tmp_path: Path) -> None:
    first = bench(*SMALL, "--json", "a.json", cwd=tmp_path)
    second = bench(*SMALL, "--json", "b.json", cwd=tmp_path)
    assert first.stdout == second.stdout
    assert "! poc-on-fault" in first.stdout
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    printed = bench(*SMALL, "--json", "-")
    assert json.loads(printed.stdout) == json.loads((tmp_path / "a.json").read_text())


def test_page_sizes_and_vcpus_are_swept() -> None:
    done = bench(*SMALL, "--page", "4K,2M", "--vcpus", "1,8", "--json", "-")
    vms = {(r["vm"]["page_bytes"], r["vm"]["vcpus"]) for r in json.loads(done.stdout)["results"]}
    assert vms == {(4096, 1), (4096, 8), (2 << 20, 1), (2 << 20, 8)}


def test_pictures(tmp_path: Path) -> None:
    bench(*SMALL, "--plot", "a.svg", "--plot", "b.png", "--plot", "c.html", cwd=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a-faults.svg", "a-timeline.svg", "a.svg", "b-faults.png", "b-timeline.png", "b.png", "c.html",
    ]  # fmt: skip


def test_resumed_it_computes_only_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "sweep.jsonl"
    whole = bench(*SMALL, "--resume", str(file)).stdout
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    file.write_bytes(b"".join(lines[:2]) + lines[2][:30])
    assert bench(*SMALL, "--resume", str(file)).stdout == whole
    assert file.read_bytes().splitlines(keepends=True) == lines
    bench(*SMALL, "--resume", str(file), "--seed", "1")
    assert len(file.read_bytes().splitlines()) == 8, "another question"


def test_dask_gives_the_same() -> None:
    assert bench(*SMALL, "--scheduler", "threads").stdout == bench(*SMALL).stdout


POLICY = """
from pocwatch.arch.ops import Op

class Mine:
    name = "mine"
    origin = "a test"
    def at_map(self, occasion):
        return (Op.DC_CIVAC, Op.DSB)
"""


def test_a_policy_of_the_user_s_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(POLICY)
    here = bench("--guest-ram", "1G", "--policy", "mine.py", cwd=tmp_path)
    assert "X mine" in here.stdout, "its I-cache is stale"
    there = bench("--guest-ram", "1G", "--policy", "mine.py", "--scheduler", "processes", cwd=tmp_path)
    assert there.stdout == here.stdout


def test_assumptions() -> None:
    done = bench(*SMALL, "--assumptions", "--assume", "early_bytes=8M")
    assert "early_bytes=8M: of the image" in done.stdout


def test_a_cost_set_of_the_user_s_own_is_checked(tmp_path: Path) -> None:
    text = (Path(SOURCE) / "pocwatch" / "cost" / "costs" / "default.toml").read_text()
    whole = tmp_path / "whole.toml"
    whole.write_text(text)
    bench(*SMALL, "--costs", str(whole))
    (tmp_path / "part.toml").write_text(text[: text.index("[clean_bandwidth]")])
    assert "cost clean_bandwidth is missing" in refused(*SMALL, "--costs", "part.toml", cwd=tmp_path)
    (tmp_path / "below.toml").write_text(text.replace("low = 7.7", "low = -7.7", 1))
    said = refused(*SMALL, "--costs", "below.toml", cwd=tmp_path)
    assert "dc_poc_dirty.low is -7.7: accepted are finite numbers from 0" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--guest-ram", "512M", "--page", "1G"), "page 1G is larger than guest RAM 512M"),
        (("--guest-ram", "-4G"), "--guest-ram is '-4G': accepted are whole numbers above 0"),
        (("--guest-ram", "4G..1G"), "--guest-ram is '4G..1G': accepted are ranges that go up"),
        (("--page", "8K"), "page is 8K: accepted are 4K, 16K, 64K, 2M, 1G"),
        (("--guest-ram", "1G", "--touched", "2G"), "touched 2G is larger than guest RAM 1G"),
        (("--guest-ram", "1G", "--image", "2G"), "image 2G is larger than guest RAM 1G"),
        (("--image", "0"), "--image is '0': accepted are whole numbers above 0"),
        (("--vcpus", "0"), "vcpus is 0: accepted are 1 to 512"),
        (("--vcpus", "two"), "--vcpus is 'two': accepted are whole numbers"),
        (("--policy", "poc-on-faul"), "there is no policy 'poc-on-faul'; near matches: poc-on-fault"),
        (("--policy", "nowhere.py"), "nowhere.py: there is no such file"),
        (("--policy", "fwb"), "no policy applies: fwb: xgene-l3 has no FEAT_S2FWB"),
        (("--platform", "vax"), "--platform: unknown platform 'vax'"),
        (("--costs", "cheap"), "unknown cost set 'cheap': accepted are"),
        (("--assume", "x=1"), "--assume: 'x=1': accepted are NAME=VALUE"),
        (("--plot", "a.gif"), "--plot: a.gif: accepted are names that end in .svg, .png, .html"),
        (("--json", "nowhere/a.json"), "nowhere/a.json: there is no folder nowhere"),
        (("--scheduler", "cloud"), "--scheduler is 'cloud': accepted are threads, processes"),
        (("--resume", "nowhere/a.jsonl"), "--resume: nowhere/a.jsonl cannot be used"),
    ],
)
def test_bad_input_is_named(args: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refused(*args, cwd=tmp_path)
