"""`pocwatch doctor` as users start it: exit codes, JSON, what is taken away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import raw_records as raw
from fake_machine import FakeQemu

SOURCE = str(Path(__file__).parents[2] / "src")
MAIN = "from pocwatch.cli.main import main; main()"


def doctor(*args: str, before: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{MAIN}", "doctor", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, **env},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize(("findings", "code"), [(1, 0), (0, 1)])
def test_exit_code_and_last_line(fake_qemu: FakeQemu, findings: int, code: int) -> None:
    program = str(fake_qemu(raw=[raw.finding()] * findings))
    done = doctor("--qemu", program)
    assert done.returncode == code
    last = done.stdout.splitlines()[-1]
    assert last == ("pocwatch run needs: machine" if code else "pocwatch run works")
    assert " ".join(done.stdout.split()).count("planted stale-fetch was found") == findings


def test_json_says_the_same(fake_qemu: FakeQemu) -> None:
    done = doctor("--json", "--qemu", str(fake_qemu(version="8.0.0")))
    value = json.loads(done.stdout)
    assert value["works"] is False
    assert done.returncode == 1
    first = value["checks"][0]
    assert first["name"] == "QEMU"
    assert first["state"] == "missing"
    assert "is QEMU 8.0.0" in first["found"]
    assert "apt-get install" in first["cure"]
    states = {check["state"] for check in value["checks"]}
    assert states <= {"works", "missing", "optional-missing"}
    assert all(check["why"] for check in value["checks"])
    assert all((check["cure"] is None) is (check["state"] == "works") for check in value["checks"]
               if check["name"] != "machine")  # fmt: skip


def test_without_any_program_on_the_path(tmp_path: Path) -> None:
    done = doctor(PATH=str(tmp_path), POCWATCH_PLUGIN=__file__)
    assert done.returncode == 1
    assert "qemu-system-aarch64: no such program" in done.stdout
    assert done.stdout.splitlines()[-1] == "pocwatch run needs: QEMU, machine"


def test_without_a_package_that_everything_imports() -> None:
    done = doctor(before="import sys; sys.modules['elftools'] = None")
    assert done.returncode == 1
    assert "pocwatch run needs: pyelftools" in done.stdout
    assert "-m pip install 'pyelftools>=0.31'" in done.stdout


def test_bad_symbol_option() -> None:
    done = doctor("--symbols", "guest@x=/etc/passwd")
    assert done.returncode == 2
    assert "'x' is no load address" in done.stderr
