"""`pocwatch check --export`: where it writes to, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
CELL = ("--scenario", "boot-image", "--policy", "poc-on-fault", "--platform", "cortex-a57")


def check(*args: str, code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "check", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(("language", "has"), [("promela", "proctype"), ("murphi", "startstate")])
def test_to_standard_output_and_to_a_file(language: str, has: str, tmp_path: Path) -> None:
    text = check(*CELL, "--export", language, code=0).stdout
    assert has in text
    assert "What pocwatch finds: no read is stale" in text
    file = tmp_path / "model"
    assert check(*CELL, "--export", language, "--out", str(file), code=0).stdout == ""
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((*CELL[:4], "--export", "promela"), "these options give 10: name one --scenario"),
        ((*CELL, "--policy", "none", "--export", "murphi"), "these options give 2"),
        ((*CELL, "--out", "x"), "--out x: it is where --export writes to"),
        ((*CELL, "--export", "murphi", "--json", "-"), "judges nothing"),
        ((*CELL, "--export", "murphi", "--out", "/nowhere/x"), "cannot be written"),
        (
            ("--scenario", "boot-image", "--policy", "fwb", *CELL[4:], "--export", "promela"),
            "boot-image x fwb on cortex-a57: not applicable: ",
        ),
        (
            ("--scenario", "icache-isolation", *CELL[2:], "--export", "promela"),
            "only fetches are judged there",
        ),
        (
            ("--scenario", "anything", *CELL[2:], "--export", "murphi"),
            "P1 may issue maintenance again and again without a dsb",
        ),
        ((*CELL, "--export", "tla"), "'tla' is not one of"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], message: str) -> None:
    done = check(*args, code=2)
    assert message in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1 or "tla" in args


def test_a_limit_leaves_the_verdict_open() -> None:
    text = check(*CELL, "--max-states", "3", "--export", "murphi", code=0).stdout
    assert "What pocwatch finds: unknown, stopped at a " in text
