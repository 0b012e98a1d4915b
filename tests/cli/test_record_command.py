"""`pocwatch record` as users start it, on a fake QEMU with a synthetic raw trace."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import synthetic_trace as synthetic
from fake_machine import FakeQemu

from pocwatch.trace import raw
from pocwatch.trace.reader import Trace

SOURCE = str(Path(__file__).parents[2] / "src")
MACHINE = ["-M", "virt", "-cpu", "cortex-a57", "-m", "64"]
MAIN = "from pocwatch.cli.main import main; main()"
FEW = ("--platform", "cortex-a57-up,xgene-l3-up")


def command(*args: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", before + MAIN, "record", *args]


def record(*args: str, before: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args, before=before),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
        **options,
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "t.parquet"


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "raw"
    path.write_bytes(synthetic.stream(3000))
    return path


def opened(path: Path) -> Trace:
    return Trace(path)


def test_what_is_kept(fake_qemu: FakeQemu, out: Path, stream: Path) -> None:
    header = {"instructions": {"0": 700, "1": 70}, "accesses": {"0": 5}, "maintenance": {"10": 3}}
    program = fake_qemu(trace=str(stream), header=header)
    done = record("-o", str(out), *FEW, "--", str(program), *MACHINE)
    assert done.returncode == 0, done.stderr
    with opened(out) as trace:
        assert trace.damage == []
        frames = 50
        assert trace.rows == 3000 + frames + 1
        info = trace.info
        assert info.complete
        assert [p["name"] for p in info.platforms] == ["cortex-a57-up", "xgene-l3-up"]
        assert (info.machine.pes, info.machine.ctr, info.machine.midr) == (1, 2, 1)
        assert info.counters["instructions"] == 770
        assert info.counters["maintenance"] == {"dc civac": 3}
        assert info.command[:4] == ["pocwatch", "record", "-o", str(out)]
    size = f"{out.stat().st_size / 1e6:,.1f} MB"
    assert f"{out}: 3,051 events in {size}; to judge it: pocwatch replay {out}" in done.stderr


def test_how_deep_stacks_are_taken(fake_qemu: FakeQemu, out: Path, stream: Path) -> None:
    program = str(fake_qemu(trace=str(stream)))
    done = record("-o", str(out), *FEW, "--stacks", "3", "--", program, *MACHINE)
    assert done.returncode == 0, done.stderr
    assert ",stacks=3" in done.stderr.replace("\n", ""), "what was added to the QEMU command"
    with opened(out) as trace:
        assert "--stacks 3 --" in " ".join(trace.info.command)


def test_all_platforms_and_auto_by_default(fake_qemu: FakeQemu, out: Path, stream: Path) -> None:
    from pocwatch import platforms

    done = record("-o", str(out), "--", str(fake_qemu(trace=str(stream))), *MACHINE)
    assert done.returncode == 0, done.stderr
    with opened(out) as trace:
        assert [p["name"] for p in trace.info.platforms] == [*platforms.names(), "auto"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"exit": 1}, "QEMU exited with code 1"),
        ({"signal": int(signal.SIGKILL)}, "QEMU was killed by SIGKILL"),
    ],
)
def test_a_machine_that_fails_leaves_what_there_is(
    fake_qemu: FakeQemu, out: Path, stream: Path, script: dict[str, Any], why: str
) -> None:
    data = stream.read_bytes()
    stream.write_bytes(data[: len(data) // 2 + 7])  # in the middle of a record
    done = record("-o", str(out), *FEW, "--", str(fake_qemu(trace=str(stream), **script)), *MACHINE)
    assert done.returncode == 3
    assert f"error: {why}" in done.stderr
    with opened(out) as trace:
        assert 1000 < trace.rows < 2000
        assert (trace.info.complete, trace.info.failure) == (False, why)
        (line,) = trace.damage
        assert why in line


def test_ctrl_c_keeps_what_there_is(
    fake_qemu: FakeQemu, tmp_path: Path, out: Path, stream: Path
) -> None:
    ready = tmp_path / "ready"
    program = fake_qemu(trace=str(stream), sleep=60, ready=str(ready))
    started = subprocess.Popen(
        command("-o", str(out), *FEW, "--", str(program), *MACHINE),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    while not ready.exists():
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 0, said
    assert "until it was cut short (ended by the user)" in said
    with opened(out) as trace:
        assert trace.info.failure == "ended by the user"
        assert trace.rows > 3000


def test_a_full_disk(fake_qemu: FakeQemu, tmp_path: Path, out: Path) -> None:
    """One line; the machine ends; the trace is valid up to its last checkpoint."""
    stream = tmp_path / "raw"
    stream.write_bytes(synthetic.stream(200_000))
    program = fake_qemu(trace=str(stream))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 21, 1 << 21))

    small = "from pocwatch.trace import schema; schema.GENERATION_ROWS = 20000;"
    script = ("-o", str(out), *FEW, "--", str(program), *MACHINE)
    # the RAM file is sparse, and larger than what may be written
    done = record(*script, before=small + _WITHOUT_LIMIT_FOR_RAM, preexec_fn=limit)
    assert done.returncode == 3, done.stderr
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert f"-o {out}: File too large" in lines[0]
    with opened(out) as trace:
        assert trace.rows > 0
        assert f"the {trace.rows:,} rows up to the last checkpoint can be replayed" in lines[0]


_WITHOUT_LIMIT_FOR_RAM = """
from pocwatch.sanitizer import runfile, launch
import io
def create(path, *args, **kwargs):
    import ctypes
    from pocwatch.trace.records import RunHeader, Finding
    path.write_bytes(bytes(RunHeader(max_findings=1)) + bytes(ctypes.sizeof(Finding)))
runfile.create = create
import pocwatch.sanitizer.machine as m
real = m.parse
def parse(command):
    from dataclasses import replace
    return replace(real(command), ram_size=1 << 20)
m.parse = parse
"""


def test_a_plugin_of_another_version(fake_qemu: FakeQemu, out: Path, stream: Path) -> None:
    data = bytearray(stream.read_bytes())
    data[8] = 99  # raw.Header.version
    stream.write_bytes(data)
    done = record("-o", str(out), *FEW, "--", str(fake_qemu(trace=str(stream))), *MACHINE)
    assert done.returncode == 3
    assert "raw trace (version 99" in done.stderr
    assert "Traceback" not in done.stderr
    assert raw.VERSION == 1
    assert ctypes.sizeof(raw.Header) > 12


def test_a_machine_that_never_starts(fake_qemu: FakeQemu, out: Path) -> None:
    done = record("-o", str(out), *FEW, "--", str(fake_qemu(started=0, exit=1)), *MACHINE)
    assert done.returncode == 3
    assert "nothing was recorded" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-o", "{tmp}"), "is no regular file"),
        (("-o", "{tmp}/none/t"), "there is no directory"),
        (("-o", "{tmp}/t", "--platform", "nothing"), "unknown platform 'nothing'"),
        (("--platform", "fwb"), "Missing option '-o'"),
        (("-o", "{tmp}/t", "--platform", "fwb,{tmp}/fwb.toml"), "two platforms are called fwb"),
    ],
)
def test_bad_input(fake_qemu: FakeQemu, tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    from pocwatch import platforms

    text = (Path(platforms.__file__).parent / "fwb.toml").read_text()
    (tmp_path / "fwb.toml").write_text(text)
    given = [arg.format(tmp=tmp_path) for arg in args]
    done = record(*given, "--", str(fake_qemu()), *MACHINE)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["numpy", "pyarrow"])
def test_without_the_packages_for_traces(fake_qemu: FakeQemu, out: Path, missing: str) -> None:
    before = f"import sys; sys.modules[{missing!r}] = None;"
    done = record("-o", str(out), *FEW, "--", str(fake_qemu()), *MACHINE, before=before)
    assert done.returncode == 2
    assert f"the Python package {missing}, not installed here" in done.stderr
    assert "pip install 'pocwatch[trace]'" in done.stderr
