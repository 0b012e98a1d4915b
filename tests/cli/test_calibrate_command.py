"""`pocwatch calibrate`: its function under qemu-aarch64, where numbers mean nothing; refusals."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from pocwatch.cost import model

SOURCE = str(Path(__file__).parents[2] / "src")
COMMAND = [sys.executable, "-c", "from pocwatch.cli.main import main; main()", "calibrate"]
QEMU, COMPILER = "qemu-aarch64", "aarch64-linux-gnu-gcc"
MEASURED = {"dc_poc_dirty", "dc_poc_clean", "dc_poc_absent", "dc_pou", "ic_ivau", "dsb"}
MEASURED |= {"clean_bandwidth"}


def calibrate(
    *args: str, code: int = 0, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *args],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def refused(*args: str, code: int = 2, folder: Path | None = None) -> str:
    done = calibrate(*args, code=code, folder=folder)
    (line,) = done.stderr.splitlines()
    assert done.stdout == ""
    return line


@pytest.fixture
def emulator() -> list[str]:
    """The options that build and run the program for Arm64 here, quickly."""
    for program in (QEMU, COMPILER):
        if shutil.which(program) is None:
            pytest.fail(f"no {program}: tools/setup installs it", pytrace=False)
    quick = ["--last-cache-kib", "32", "--threads", "3", "--sample-ms", "1"]
    return ["--runner", QEMU, "--compiler", COMPILER, *quick]


def fake(folder: Path, *lines: object, then: str = "") -> str:
    """A runner that prints JSON lines instead of measuring."""
    script = folder / "fake"
    said = "".join(f"echo {shlex.quote(json.dumps(line))}\n" for line in lines)
    script.write_text(f"#!/bin/sh\n{said}{then}\n")
    script.chmod(0o755)
    return str(script)


CPU = {"kind": "machine", "ctr": "0x8444c004", "line_bytes": 64, "iline_bytes": 64}


def sample(op: str, state: str, kib: int, ns: list[float], threads: int = 1) -> dict[str, object]:
    numbers = {"bytes": kib * 1024, "threads": threads, "rounds": 5, "ns": ns}
    return {"kind": "sample", "op": op, "state": state, **numbers}


def test_measures_under_the_emulator(tmp_path: Path, emulator: list[str]) -> None:
    out = tmp_path / "try.toml"
    done = calibrate("--out", str(out), *emulator)
    assert "mean nothing" in done.stderr
    costs = model.load(str(out))
    assert {name for name, c in costs.costs.items() if not c.assumed} == MEASURED
    assert all(c.source.startswith("calibrated: ") for c in map(costs.costs.get, MEASURED) if c)
    assert {line.split()[0] for line in done.stdout.splitlines()} == set(model.COSTS)
    table = tomllib.loads(out.read_text())
    assert (table["emulated"], table["complete"]) == (True, True)
    seen = {(m["op"], m["state"]) for m in table["measurements"]}
    ops = {"dc_cvac", "dc_civac", "dc_cvau"}
    assert seen == {(op, state) for op in ops for state in ("dirty", "clean", "absent")} | {
        ("ic_ivau", "clean"),
        ("write_clean", "dirty"),
        ("dsb", "idle"),
        ("dsb", "after_dc"),
    }
    one = [m for m in table["measurements"] if m["op"] == "dc_cvac" and m["threads"] == 1]
    assert {m["bytes"] // 1024 for m in one} == {16, 32, 64, 128}  # to 4 times 32 KiB
    assert {m["threads"] for m in table["measurements"]} == {1, 2, 3}
    for m in table["measurements"]:
        assert m["rounds"] >= 5
        assert 0 < m["ns"][0] <= m["ns"][1] <= m["ns"][2]


def test_overwrites_only_if_told(tmp_path: Path, emulator: list[str]) -> None:
    out = tmp_path / "mine.toml"
    out.write_text("precious")
    assert "exists: name another file, or give --force" in refused("--out", str(out), *emulator)
    assert out.read_text() == "precious"
    calibrate("--out", str(out), "--force", *emulator)
    assert model.load(str(out)).costs


@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="this is Arm64")
def test_says_that_this_is_not_arm64(tmp_path: Path) -> None:
    said = refused("--out", str(tmp_path / "x.toml"))
    assert f"must be Arm64 Linux; this is {platform.machine()} {platform.system()}" in said


def test_samples_become_costs(tmp_path: Path) -> None:
    """Low is the least 10th percentile, high the greatest 90th, typical the median of the medians."""
    runner = fake(
        tmp_path,
        CPU,
        sample("dsb", "idle", 0, [2, 3, 4]),
        sample("dsb", "after_dc", 0, [90, 100, 110]),
        sample("dc_cvac", "dirty", 16, [10, 11, 12]),
        sample("dc_cvac", "dirty", 32, [14, 15, 40]),
        sample("dc_civac", "dirty", 32, [12, 13, 14]),
        sample("dc_cvac", "dirty", 64, [1, 1, 99]),  # more than the last cache: a mix
        sample("dc_cvac", "dirty", 32, [5, 5, 500], threads=2),
        sample("write_clean", "dirty", 32, [1, 1, 1]),  # a cache's, not memory's
        sample("write_clean", "dirty", 64, [16, 20, 32]),
        sample("write_clean", "dirty", 64, [8, 10, 16], threads=2),
        {"kind": "end"},
    )
    out = tmp_path / "x.toml"
    calibrate("--out", str(out), "--runner", runner, "--compiler", "true", "--last-cache-kib", "32")
    costs = model.load(str(out))
    found = {k: (e.low, e.typical, e.high) for k, e in ((k, costs[k]) for k in MEASURED)}
    assert found["dc_poc_dirty"] == (10, 13, 40)
    assert found["dsb"] == (2, 100, 110)
    assert found["clean_bandwidth"] == (4e9, 6.4e9, 8e9)  # 64 bytes in 16, 10 and 8 ns
    default = model.load("default")
    for other in ("dc_poc_clean", "trap", "set_way_line"):
        assert costs[other] == default[other]
        assert costs.costs[other].source == "assumed: not measured; taken from the set 'default'"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("kill -9 $$", "the measuring program ended early (signal SIGKILL)"),
        ("exit 7", "the measuring program ended early (exit code 7)"),
        ("echo hello", "the measuring program printed 'hello'"),
        ("echo '[1]'", "the measuring program printed '[1]'"),
        ("""echo '{"kind": "sample"}'""", "the measuring program printed"),
        (
            """echo '{"kind": "error", "what": "sigill", "op": "dc_cvac"}'""",
            "EL0 may not execute dc cvac here (SIGILL)",
        ),
        ("""echo '{"kind": "error", "what": "no memory", "op": "x"}'""", ": no memory"),
    ],
)
def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path, ending: str, said: str) -> None:
    runner = fake(tmp_path, CPU, sample("dc_cvac", "dirty", 16, [1, 2, 3]), then=ending)
    out = tmp_path / "x.toml"
    args = ("--out", str(out), "--runner", runner, "--compiler", "true", "--last-cache-kib", "16")
    kept, error = calibrate(*args, code=3).stderr.splitlines()
    assert kept == f"pocwatch: 1 samples are kept in {out}"
    assert said in error
    costs = model.load(str(out))
    assert costs["dc_poc_dirty"].typical == 2
    assert any("did not run to the end" in warning for warning in costs.warnings)


def test_nothing_measured_leaves_no_file(tmp_path: Path) -> None:
    out = tmp_path / "x.toml"
    runner = fake(tmp_path, then="exit 1")
    args = ("--out", str(out), "--runner", runner, "--compiler", "true", "--last-cache-kib", "16")
    assert "ended early" in refused(*args, code=3)
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_keeps_what_it_measured(
    tmp_path: Path, emulator: list[str], number: signal.Signals
) -> None:
    out = tmp_path / "x.toml"
    long = [*emulator[:-1], "300"]
    flag = tmp_path / "started"
    runner = tmp_path / "runner"
    runner.write_text(f'#!/bin/sh\ntouch {shlex.quote(str(flag))}\nexec {QEMU} "$@"\n')
    runner.chmod(0o755)
    process = subprocess.Popen(
        [*COMMAND, "--out", str(out), *["--runner", str(runner)], *long[2:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    while not flag.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.5)  # three samples of 300 ms, and more to come
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "samples are kept in" in stderr
    assert "Traceback" not in stderr
    assert tomllib.loads(out.read_text())["complete"] is False
    assert model.load(str(out)).warnings


def test_an_illegal_instruction_is_one_clear_line(tmp_path: Path, emulator: list[str]) -> None:
    """The program's own handler: the signal comes from outside, as no emulated EL0 lacks DC."""
    runner = tmp_path / "runner"
    runner.write_text(f'#!/bin/sh\n{QEMU} "$@" &\nsleep 0.5\nkill -ILL $!\nwait $!\n')
    runner.chmod(0o755)
    long = ["--sample-ms", "300", "--last-cache-kib", "1024"]
    options = ["--runner", str(runner), "--compiler", COMPILER, *long]
    done = calibrate("--out", str(tmp_path / "x.toml"), *options, code=3)
    assert "here (SIGILL): the kernel or hypervisor keeps SCTLR_EL1.UCI" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--out"),
        (("--out", "x.txt", "--runner", "true", "--last-cache-kib", "16"), "end in .toml"),
        (("--out", "no/x.toml", "--runner", "true", "--last-cache-kib", "16"), "no folder no"),
        (("--out", "x.toml", "--runner", "true"), "give --last-cache-kib N, too"),
        (("--out", "x.toml", "--last-cache-kib", "8"), "16<=x<=1048576"),
        (("--out", "x.toml", "--threads", "0"), "1<=x<=1024"),
        (("--out", "x.toml", "--sample-ms", "much"), "'much'"),
        (
            ("--out", "x.toml", "--runner", "true", "--last-cache-kib", "16", "--compiler", "nocc"),
            "--compiler: 'nocc' is not installed",
        ),
        (
            ("--out", "x.toml", "--runner", "noemu", "--last-cache-kib", "16", "--compiler", "true"),
            "'noemu' cannot be started: No such file",
        ),
    ],
)
def test_refused(args: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refused(*args, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(platform.machine() in ("aarch64", "arm64"), reason="gcc is for Arm64 here")
def test_a_compiler_for_another_machine_is_named(tmp_path: Path) -> None:
    options = ("--runner", "true", "--last-cache-kib", "16", "--compiler", "gcc")
    said = refused("--out", str(tmp_path / "x.toml"), *options, code=3)
    assert "'gcc' cannot build measure.c" in said
    assert "compile it with an aarch64 compiler" in said
