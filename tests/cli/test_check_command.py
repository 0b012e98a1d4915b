"""`pocwatch check`: the pinned JSON, exit codes, users' policies and scenarios, bad input in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
MAIN = "from pocwatch.cli.main import main; main()"
ENVIRONMENT = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONUTF8": "1"}
ONE = ("--platform", "xgene-l3", "--scenario", "boot-image")


def check(*args: str, code: int, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "check", *args],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(*args: str, cwd: Path | None = None) -> str:
    done = check(*args, code=2, cwd=cwd)
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert said.startswith("pocwatch: error: ")
    return said


def results(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    value = json.loads(done.stdout)
    assert value["complete"] is True
    found = value["results"]
    assert isinstance(found, list)
    return found


def test_json_as_pinned() -> None:
    done = check(*ONE, "--policy", "pou-on-fault,poc-on-fault,fwb", "--json", "-", code=1)
    before, patch, fwb = results(done)
    for cell in (before, patch, fwb):
        assert {"scenario", "policy", "platform", "verdict", "states", "seconds", "trace"} <= set(cell)
        assert (cell["scenario"], cell["platform"]) == ("boot-image", "xgene-l3")
    assert [cell["verdict"] for cell in (before, patch, fwb)] == ["unsafe", "safe", "n/a"]
    assert before["states"] > 0
    assert patch["trace"] == []
    assert fwb["reason"] == "xgene-l3 has no FEAT_S2FWB"
    for event in before["trace"]:
        assert {"agent", "event", "why"} <= set(event)
        assert event["agent"] in ("VMM", "vCPU0")
    assert before["trace"][-1]["read"] == "stale"


def test_json_to_a_file_and_the_report_to_the_screen(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    done = check(*ONE, "--policy", "none", "--json", str(file), code=1)
    assert "boot-image × none on xgene-l3: unsafe after" in done.stdout
    assert json.loads(file.read_text())["results"][0]["verdict"] == "unsafe"


def test_the_counterexample_as_a_word_is_stale() -> None:
    (cell,) = results(check(*ONE, "--policy", "pou-on-fault", "--json", "-", code=1))
    judged = subprocess.run(
        [sys.executable, "-c", MAIN, "line", "--platform", "xgene-l3", "--json", cell["word"]],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert judged.returncode == 1
    assert json.loads(judged.stdout)["reads"][-1]["verdict"] == "stale"


def test_safe_is_zero_and_lists_what_it_assumes() -> None:
    done = check(*ONE, "--policy", "mainline-2021", code=0)
    assert "safe, proved over" in done.stdout
    assert "assuming that" in done.stdout
    assert "caches may fill at any time" in done.stdout


def test_a_matrix_for_a_platform() -> None:
    done = check("--platform", "l2x0-up", "--scenario", "boot-image,late-memslot", code=1)
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert "boot-image X X X X X X X . X . X X X - - X" in rows  # facts A14
    assert "late-memslot X X X X X X X X X . X X X - - X" in rows  # facts A5
    assert "fwb: l2x0-up has no FEAT_S2FWB" in done.stdout
    assert "32 cells: " in done.stdout


def test_platforms_that_differ_in_nothing_share_a_matrix() -> None:
    done = check("--platform", "cortex-a57,transparent-l3", "--scenario", "boot-image", code=1)
    assert "cortex-a57, transparent-l3\n" in done.stdout


def test_jobs_change_nothing() -> None:
    asked = ("--platform", "cortex-a57-up", "--json", "-", "--scenario", "swap,cow,reboot,boot-image")
    asked += ("--scenario", "late-load,page-recycle,guest-setway")

    def cells(jobs: str) -> list[dict[str, Any]]:
        found = results(check(*asked, "--jobs", jobs, code=1))
        return [{**cell, "seconds": 0} for cell in found]

    assert len(cells("1")) == 7 * 16
    assert cells("1") == cells("2")


def test_a_bound_is_never_green() -> None:
    done = check(*ONE, "--policy", "mainline-2021", "--max-states", "5", code=1)
    assert "unknown: stopped at a limit of states, after 5 states" in done.stdout
    (cell,) = results(
        check(*ONE, "--policy", "mainline-2021", "--max-seconds", "0", "--json", "-", code=1)
    )
    assert cell["verdict"] == "unknown"


def test_the_reading_of_fwb_for_fetches() -> None:
    """Facts B1.14: if FWB does not force fetches, nothing makes the image visible to them."""
    asked = ("--platform", "fwb", "--scenario", "boot-image", "--policy", "fwb")
    check(*asked, code=0)
    done = check(*asked, "--fwb-fetches", "unforced", code=1)
    assert "executes, stale" in done.stdout


def test_the_kind_of_instruction_cache() -> None:
    """Facts A1, A23: the patch is in the PIPT branch only."""
    check(*ONE, "--policy", "poc-on-fault", code=0)
    check(*ONE, "--policy", "poc-on-fault", "--icache", "vipt", code=1)


POLICY = """
from pocwatch.arch.ops import Op


class CleanAtMap:
    name = "clean-at-map"
    origin = "a test"

    def at_map(self, occasion):
        return (Op.DC_CIVAC, Op.DSB, Op.IC_IALLUIS, Op.DSB, Op.ISB)
"""


def test_a_policy_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(POLICY)
    done = check(*ONE, "--policy", "mine.py", code=0, cwd=tmp_path)
    assert "boot-image × clean-at-map on xgene-l3: safe" in done.stdout
    check("--platform", "xgene-l3", "--scenario", "swap", "--policy", "mine.py", code=1, cwd=tmp_path)


SCENARIO = """
from pocwatch.kvm import vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import seq

MINE = Scenario(
    "two-writes", "The image is written twice.", "a test",
    (
        a_vmm(seq(vmm.write(), vmm.write(), signal("{raised}"))),
        a_vcpu(seq(wait("{awaited}"), vcpu.run(), {read})),
    ),
)
"""


def test_a_scenario_of_the_user(tmp_path: Path) -> None:
    text = SCENARIO.format(raised="go", awaited="go", read="vcpu.read()")
    (tmp_path / "mine.py").write_text(text)
    done = check(
        "--platform", "xgene-l3", "--scenario", "mine.py", "--policy", "none,poc-on-fault",
        code=1, cwd=tmp_path,
    )  # fmt: skip
    assert "two-writes × none on xgene-l3: unsafe" in done.stdout
    assert "two-writes × poc-on-fault on xgene-l3: safe" in done.stdout


def test_idle_scenarios_are_refused(tmp_path: Path) -> None:
    asked = ("--platform", "xgene-l3", "--policy", "poc-on-fault", "--scenario")
    text = SCENARIO.format(raised="go", awaited="went", read="vcpu.read()")
    (tmp_path / "stuck.py").write_text(text)
    said = refused(*asked, "stuck.py", cwd=tmp_path)
    assert "scenario 'two-writes': nothing is ever read" in said
    (tmp_path / "blind.py").write_text(
        SCENARIO.format(raised="go", awaited="go", read="vcpu.write()")
    )
    assert "nothing is ever read" in refused(*asked, "blind.py", cwd=tmp_path)
    late = SCENARIO.format(raised="go", awaited="go", read='vcpu.read(), wait("never")')
    (tmp_path / "late.py").write_text(late)
    said = refused(*asked, "late.py", cwd=tmp_path)
    assert "vCPU0 gets through its script" in said
    assert "flag that nobody raises" in said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (POLICY.replace("Op.DSB,", "1 // 0,"), "at_map raised ZeroDivisionError"),
        (POLICY.replace("at_map", "at_mapp"), "near matches: at_map"),
        (POLICY.replace("Op.DC_CIVAC", "Op.LD"), "at_map returned <Op.LD: 0>"),
        (POLICY.replace("return (", "return None and ("), "at_map returned None"),
        (POLICY.replace('name = "clean-at-map"', "pass"), "has no 'name'"),
        (POLICY.replace("    def at_map", "    def helper"), "never does anything"),
        ("x = 1\n", "it defines no policy"),
        ("def f(:\n", "bad.py:1: not Python"),
        ("import sys\n\nboom = sys.nothing\n", "bad.py:3: AttributeError"),
        (POLICY + "    traps_mmu = 3\n", "traps_mmu is 3"),
    ],
)
def test_bad_policies_say_where(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    said = refused(*ONE, "--policy", "bad.py", cwd=tmp_path)
    assert wanted in said
    assert "bad.py" in said


def test_a_policy_whose_hooks_do_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(POLICY.replace("at_map", "at_reset"))
    done = check(*ONE, "--policy", "lazy.py", code=1, cwd=tmp_path)
    assert "policy 'clean-at-map'" in done.stderr
    assert "lazy.py:5" in done.stderr
    assert "never did anything" in done.stderr


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["--policy", "poc-on-falt"], "no policy 'poc-on-falt'; near matches: poc-on-fault"),
        (["--scenario", "bootimage"], "no scenario 'bootimage'; near matches: boot-image"),
        (["--platform", "xgene"], "unknown platform 'xgene': accepted are cortex-a53"),
        (["--policy", "nowhere.py"], "nowhere.py: there is no such file"),
        (["--jobs", "0"], "0 is not in the range x>=1"),
        (["--icache", "vivt"], "'vivt' is not one of"),
        (["--json", "no/such/folder/x.json"], "it cannot be written"),
    ],
)
def test_bad_arguments(args: list[str], wanted: str) -> None:
    assert wanted in refused(*args)


def test_interrupted_keeps_what_it_found(tmp_path: Path) -> None:
    file = tmp_path / "partial.json"
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "check", "--jobs", "1", "--json", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "not judged" in out
    value = json.loads(file.read_text())
    assert value["complete"] is False
    assert 0 < len(value["results"]) < 2880
