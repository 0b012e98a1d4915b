"""`pocwatch run` as users start it, on a fake QEMU: console, report, exit code, full disk."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import raw_records as raw
from fake_machine import FakeQemu

SOURCE = str(Path(__file__).parents[2] / "src")
MACHINE = ["-M", "virt", "-cpu", "cortex-a57", "-m", "64"]


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "run", *args]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE}


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), capture_output=True, text=True, env=environment(), check=False
    )


@pytest.mark.parametrize(
    ("script", "findings", "code"),
    [
        ({}, 0, 0),
        ({}, 1, 1),
        ({"exit": 1}, 1, 3),
        ({"signal": int(signal.SIGKILL)}, 1, 3),
        ({"header": {"error": "out of memory"}}, 0, 3),
        ({"started": 0, "exit": 1}, 0, 3),
    ],
)
def test_exit_code_report_and_console(
    fake_qemu: FakeQemu, tmp_path: Path, script: dict[str, object], findings: int, code: int
) -> None:
    program = fake_qemu(raw=[raw.finding()] * findings, stdout="console\n", **script)
    done = run("--json", str(tmp_path / "r.json"), "--", str(program), *MACHINE)
    assert done.returncode == code, done.stderr
    assert done.stdout == "console\n", "the report does not mix with the console"
    assert "added to the QEMU command:" in done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["complete"] is (code != 3)
    assert len(report["findings"]) == findings
    watched = script.get("started") != 0
    assert ("on platform auto" in done.stderr) is watched, "no report of what was never seen"
    if code == 3:
        assert "pocwatch: error: " in done.stderr.splitlines()[-1]


def test_what_a_baseline_has_is_not_reported_again(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    program = str(fake_qemu(raw=[raw.finding()]))
    saved = str(tmp_path / "r.json")
    done = run("--json", saved, "--error-exitcode", "42", "--", program, *MACHINE)
    assert done.returncode == 42
    forms = ["--sarif", str(tmp_path / "r.sarif"), "--junit", str(tmp_path / "r.xml")]
    done = run("--baseline", saved, "--error-exitcode", "42", *forms, "--", program, *MACHINE)
    assert done.returncode == 0
    assert f"known from {saved}: 1 finding, seen 3 times" in done.stderr
    assert '"results": []' in (tmp_path / "r.sarif").read_text()
    assert "no findings" in (tmp_path / "r.xml").read_text()


def test_a_baseline_that_cannot_be_read_is_refused_before_the_machine_starts(
    fake_qemu: FakeQemu, tmp_path: Path
) -> None:
    program = fake_qemu(ready=str(tmp_path / "ready"))
    done = run("--baseline", "/no/r.json", "--", str(program), *MACHINE)
    assert (done.returncode, (tmp_path / "ready").exists()) == (2, False)
    assert done.stderr == (
        "pocwatch: error: /no/r.json: cannot be read (No such file or directory); "
        "give a report of --json\n"
    )


def test_quiet_says_only_the_report(fake_qemu: FakeQemu) -> None:
    done = run("--quiet", "--", str(fake_qemu()), *MACHINE)
    assert done.stderr.startswith("pocwatch: no findings")


def test_standard_input_goes_to_the_machine(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    program = fake_qemu()
    shell = program.with_name("qemu-system-aarch64-echo")
    shell.write_text(f'#!/bin/sh\ncase "$*" in *-plugin*) cat;; esac\nexec {program} "$@"\n')
    shell.chmod(0o755)
    done = subprocess.run(
        command("--", str(shell), *MACHINE),
        input="typed\n",
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "typed\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(fake_qemu: FakeQemu, tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    program = fake_qemu(raw=[raw.finding()], sleep=60, ready=str(ready))
    args = command("--json", str(tmp_path / "r.json"), "--", str(program), *MACHINE)
    process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, env=environment())
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "PARTIAL: ended by the user" in error
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["complete"], len(report["findings"])) == (False, 1)


def test_full_disk(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    """The report does not fit; the run file and RAM (sparse, made before) do."""
    program = fake_qemu(raw=[raw.finding()] * 40)
    limit = 68 << 20

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    filler = tmp_path / "full"
    filler.mkdir()
    tiny = _tiny_file_system(filler)
    if not tiny:
        pytest.skip("mounting a small file system needs root")
    try:
        done = subprocess.run(
            command("--json", str(filler / "r.json"), "--", str(program), *MACHINE),
            capture_output=True,
            text=True,
            env=environment(),
            preexec_fn=small_files,
            check=False,
        )
        assert done.returncode == 3
        assert "Traceback" not in done.stderr
        assert "40 findings" in done.stderr, "the text report is still there"
        last = done.stderr.splitlines()[-1]
        assert "r.json: the report could not be written (No space left on device)" in last
        assert not list(filler.iterdir())
    finally:
        subprocess.run(["umount", str(filler)], check=True)


def _tiny_file_system(place: Path) -> bool:
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


def test_live_line_on_a_terminal(fake_qemu: FakeQemu) -> None:
    program = fake_qemu(sleep=1.6, header={"instructions": {0: 5_000_000}}, raw=[raw.finding()])
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command("--", str(program), *MACHINE),
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**environment(), "TERM": "xterm"},
    )
    os.close(child)
    shown = _read_all(parent)
    assert process.wait() == 1
    assert "pocwatch: 5 M instructions" in shown
    assert "MIPS, findings: 1" in shown
    live, _, report = shown.rpartition("\r\x1b[2K")
    assert "instructions" in live
    assert "stale-fetch" in report, "the line is erased before the report"


def _read_all(descriptor: int) -> str:
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # Linux: EIO when the other end is closed
            piece = b""
        if not piece:
            os.close(descriptor)
            return data.decode()
        data += piece
