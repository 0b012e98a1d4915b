"""Asking the CPU before the run: what is asked, every way to fail, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_machine import FakeQemu

from pocwatch import platforms
from pocwatch.line import table
from pocwatch.sanitizer import launch, probe, workspace
from pocwatch.sanitizer.cpufacts import CpuFacts
from pocwatch.sanitizer.errors import MachineError
from pocwatch.sanitizer.launch import Options
from pocwatch.sanitizer.machine import cpu_arguments, parse

MACHINE = ("-M", "virt,virtualization=on", "-cpu", "cortex-a57", "-m", "64")
IDC = {"header": {"ctr": 0x8444_C004 | 1 << 28, "clidr": 0x0A20_0023}}
CORTEX_A57 = CpuFacts(idc=False, dic=False, line_size=64)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No files, and the stopped machine is gone, though it did not end when asked to."""
    place = tmp_path / "shm"
    place.mkdir()
    monkeypatch.setattr(workspace, "SHARED_MEMORY", place)
    yield
    assert list(place.iterdir()) == []
    pid = tmp_path / "pid"
    if pid.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


@pytest.fixture
def probed(fake_qemu: FakeQemu, tmp_path: Path) -> Any:
    """Return a function that asks the CPU of a fake QEMU, given how that behaves."""

    def ask(*more: str, **script: Any) -> CpuFacts:
        program = str(fake_qemu(probe={"pid": str(tmp_path / "pid"), **script}))
        return probe.cpu_facts(
            program, parse([program, *MACHINE, *more]), launch.plugin_path(), b"table"
        )

    return ask


def test_the_registers_are_decoded(probed: Any) -> None:
    assert probed() == CORTEX_A57
    assert probed(**IDC) == CpuFacts(idc=True, dic=False, line_size=64)


def test_only_the_cpu_is_asked_for(probed: Any, tmp_path: Path) -> None:
    probed("-smp", "2", "-kernel", str(tmp_path), "-serial", "stdio", record=str(tmp_path / "r"))
    record = json.loads((tmp_path / "r").read_text())
    ours = ["-M", "virt,virtualization=on", "-cpu", "cortex-a57", "-smp", "2", "-S"]
    assert record["args"][: len(ours)] == ours
    assert "-kernel" not in record["args"]
    assert "stdio" not in record["args"]
    assert record["sizes"]["ram"] == 16 << 20


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("-M virt,memory-backend=r,gic-version=3", "-M virt,gic-version=3"),
        ("-machine type=virt,dumpdtb=f,mte=on", "-machine type=virt,mte=on"),
        ("-M virt -machine accel=tcg -accel tcg", "-M virt"),
        ("-cpu max,sve=off -smp cpus=2,maxcpus=4 -m 1G", "-cpu max,sve=off -smp cpus=2,maxcpus=4"),
        ("-global a.b=c -nographic -device x", "-global a.b=c"),
    ],
)
def test_arguments_that_decide_the_cpu(given: str, kept: str) -> None:
    assert " ".join(cpu_arguments(given.split())) == kept


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ({"started": 0, "sleep": 0, "stderr": "no such CPU\nmore\n"}, "^no such CPU$"),
        ({"started": 0, "sleep": 0, "exit": 3}, "QEMU exited with code 3"),
        ({"started": 0, "signal": int(signal.SIGKILL), "sleep": 0}, "killed by SIGKILL"),
        ({"started": 0}, r"no answer in 0\.5 s"),
        ({"header": {}}, "has no CTR_EL0"),
    ],
)
def test_failures(
    probed: Any, monkeypatch: pytest.MonkeyPatch, script: dict[str, Any], says: str
) -> None:
    if script == {"started": 0}:
        monkeypatch.setattr(probe, "_SECONDS", 0.5)
    with pytest.raises(MachineError, match=says):
        probed(**script)


def test_a_program_that_cannot_be_run(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    machine = parse([str(fake_qemu()), *MACHINE])
    with pytest.raises(MachineError, match="cannot be run"):
        probe.cpu_facts(str(tmp_path / "none"), machine, launch.plugin_path(), b"table")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(probed: Any, tmp_path: Path, number: signal.Signals) -> None:
    def interrupt() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=interrupt)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        probed(started=0)
    sender.join()


def plan(program: Path, platform: str = "auto") -> launch.Plan:
    return launch.plan(Options([str(program), *MACHINE], platform=platform))


def test_auto_is_what_the_cpu_says(fake_qemu: FakeQemu) -> None:
    found = plan(fake_qemu(probe=IDC))
    assert (found.platform.name, found.platform.idc, found.platform.dic) == ("auto", True, False)
    assert found.warnings == []


def test_without_an_answer_the_cpu_promises_nothing_and_that_is_said(fake_qemu: FakeQemu) -> None:
    program = fake_qemu(probe={"started": 0, "sleep": 0, "stderr": "no RAM"})
    found = plan(program)
    assert (found.platform.idc, found.platform.dic) == (False, False)
    assert launch.run(found, lambda _: None).warnings == [
        "--platform auto: the CPU cortex-a57 could not be asked for its caches (no RAM); it is "
        "taken to promise nothing (IDC=0, DIC=0)"
    ]


def test_what_the_cpu_says_in_the_run_still_counts(fake_qemu: FakeQemu) -> None:
    (warning,) = launch.run(plan(fake_qemu(header=IDC["header"])), lambda _: None).warnings
    assert "platform auto has IDC=0, the emulated CPU says IDC=1" in warning
    assert warning.endswith("use another -cpu")


def test_a_named_platform_asks_nobody(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    found = plan(fake_qemu(probe={"pid": str(tmp_path / "pid")}), "cortex-a57")
    assert (found.platform.name, found.warnings) == ("cortex-a57", [])
    assert not (tmp_path / "pid").exists()


@pytest.mark.machine
@pytest.mark.parametrize(
    ("cpu", "promises"),
    [
        ("cortex-a57", CORTEX_A57),
        ("neoverse-n1", CpuFacts(idc=True, dic=False, line_size=64)),  # by CLIDR_EL1 (C14)
        ("max", CpuFacts(idc=True, dic=True, line_size=64)),
    ],
)
def test_real_cpus(plugin_path: Path, cpu: str, promises: CpuFacts) -> None:
    command = ["qemu-system-aarch64", "-M", "virt,virtualization=on", "-cpu", cpu, "-smp", "2"]
    any_table = table.binary(platforms.load("cortex-a57-up"))
    assert probe.cpu_facts(command[0], parse(command), plugin_path, any_table) == promises
