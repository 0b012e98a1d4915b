"""The launcher with a fake QEMU: what it adds, and every way in which a machine can end."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import raw_records as raw
from fake_machine import FakeQemu

from pocwatch.arch.ops import Op
from pocwatch.sanitizer import launch, workspace
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.launch import Options, Plan
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.machine import parse
from pocwatch.sanitizer.qemu import find
from pocwatch.sanitizer.rules import Place, Rule
from pocwatch.sanitizer.runfile import Progress

MACHINE = ["-M", "virt", "-cpu", "cortex-a57", "-m", "64"]


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever happens, the private directory goes."""
    place = tmp_path / "shm"
    place.mkdir()
    monkeypatch.setattr(workspace, "SHARED_MEMORY", place)
    yield
    assert list(place.iterdir()) == []


def plan(program: Path, *more: str, rules: tuple[Rule, ...] = (), **options: Any) -> Plan:
    command = [str(program), *MACHINE, *more]
    return Plan(
        options=Options(command, **options),
        machine=parse(command),
        qemu=find(str(program)),
        plugin=launch.plugin_path(),
        platform=raw.PLATFORM,
        locator=Locator([]),
        rules=rules,
        suppressions=[],
        describe=raw.describe,
        table=b"table",
    )


def run(program: Path, *more: str, said: list[str] | None = None, **options: Any) -> Report:
    return launch.run(plan(program, *more, **options), (said if said is not None else []).append)


def test_what_is_added_and_that_it_is_said(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    rule = Rule("dc civac@*", "--drop", (Op.DC_CIVAC,), None, (Place("any"),))
    said: list[str] = []
    program = fake_qemu(record=str(tmp_path / "record"))
    report = run(program, said=said, rules=(rule,), unsynced=True, redundant=True)
    record = json.loads((tmp_path / "record").read_text())
    ram = record["options"]["ram"]
    assert record["args"][: len(MACHINE)] == MACHINE
    assert record["args"][len(MACHINE) : -1] == [
        "-object",
        f"memory-backend-file,id=pocwatch-ram,size={64 << 20},mem-path={ram},share=on",
        "-machine",
        "memory-backend=pocwatch-ram",
        "-plugin",
    ]
    options = record["options"]
    assert (options["rambase"], options["ramsize"]) == ("0x40000000", hex(64 << 20))
    assert (options["unsynced"], options["redundant"]) == ("on", "on")
    assert record["sizes"]["ram"] == 64 << 20
    assert record["texts"]["rules"] == "0 drop 10 -1 any 0 ffffffffffffffff\n"
    (line,) = said
    assert line.startswith("added to the QEMU command: -object memory-backend-file,id=pocwatch-ram")
    assert (report.complete, report.machine_failed) == (True, False)


def test_a_trace_comes_with_its_filter(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    program = fake_qemu(record=str(tmp_path / "record"))
    made = replace(plan(program, trace=tmp_path / "trace"), filter=b"filter")
    launch.run(made, lambda _: None)
    record = json.loads((tmp_path / "record").read_text())
    assert record["options"]["trace"] == str(tmp_path / "trace")
    assert record["options"]["filter"] == record["options"]["run"].replace("/run", "/filter")
    assert record["sizes"]["filter"] == len(b"filter")


@pytest.mark.parametrize(
    ("option", "value"),
    [("drop", ["*"]), ("weaken", ["*"]), ("unsynced", True), ("events", Path("events"))],
)
def test_a_trace_is_not_judged(option: str, value: Any, tmp_path: Path) -> None:
    options = Options(["qemu-system-aarch64"], trace=tmp_path / "trace", **{option: value})
    with pytest.raises(UsageError, match=f"^--{option} and a trace exclude each other"):
        launch.plan(options)


def test_the_access_stream_goes_where_it_is_asked_to(
    fake_qemu: FakeQemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an absolute path, with QEMU's escape for commas; without the option, nowhere."""
    program = fake_qemu(record=str(tmp_path / "record"))
    monkeypatch.chdir(tmp_path)
    for stream in (None, Path("a,b")):
        said: list[str] = []
        run(program, said=said, stream=stream)
        (line,) = said
        assert ("stream=" in line) is (stream is not None)
    assert f",stream={tmp_path}/a,,b" in line


def test_the_user_s_shared_memory_is_watched(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(bytes(1 << 20))
    backend = f"memory-backend-file,id=r,size=1M,mem-path={tmp_path / 'own'},share=on"
    program = fake_qemu(record=str(tmp_path / "record"))
    run(program, "-machine", "memory-backend=r", "-object", backend)
    record = json.loads((tmp_path / "record").read_text())
    assert record["options"]["ram"] == str(tmp_path / "own")
    assert "pocwatch-ram" not in " ".join(record["args"])
    assert (tmp_path / "own").exists()


def test_one_thread_for_several_cpus_is_changed_and_said(
    fake_qemu: FakeQemu, tmp_path: Path
) -> None:
    said: list[str] = []
    program = fake_qemu(record=str(tmp_path / "record"))
    run(program, "-smp", "2", "-accel", "tcg,thread=single", said=said)
    assert "tcg,thread=multi" in json.loads((tmp_path / "record").read_text())["args"]
    assert said[0].startswith("changed thread=single to thread=multi")


def test_counters_and_findings(fake_qemu: FakeQemu) -> None:
    header = {
        "instructions": {0: 1000, 1: 500},
        "accesses": {0: 10},
        "maintenance": {int(Op.DC_CIVAC): 7},
        "matched": {0: 0},
        "midr": 1,
        "ctr": 0x8444_C004 | 1 << 28,
        "clidr": 0x0A20_0023,
        "lost_findings": 2,
    }
    rule = Rule("dc cvac@*", "--drop", (Op.DC_CVAC,), None, (Place("any"),))
    report = run(fake_qemu(raw=[raw.finding(), raw.finding()], header=header), rules=(rule,))
    assert (report.instructions, report.accesses) == (1500, 10)
    assert report.maintenance == {"dc civac": 7}
    assert report.dropped == {"dc cvac@*": 0}
    assert [f.kind for f in report.findings] == ["stale-fetch", "stale-fetch"]
    warnings = "\n".join(report.warnings)
    assert "--drop 'dc cvac@*' matched 0 times" in warnings
    assert "platform fake-l3 has IDC=0, the emulated CPU says IDC=1" in warnings
    assert "2 more places were found" in warnings


def test_progress_is_told_while_it_runs(fake_qemu: FakeQemu) -> None:
    seen: list[Progress] = []
    program = fake_qemu(sleep=1.3, header={"instructions": {0: 42}}, raw=[raw.finding()])
    launch.run(plan(program), lambda _: None, seen.append)
    assert seen
    assert seen[-1] == Progress(instructions=42, findings=1)


def test_killed_machine_leaves_a_partial_report(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(raw=[raw.finding()], signal=int(signal.SIGKILL)))
    assert (report.complete, report.machine_failed) == (False, True)
    assert report.failure == "QEMU was killed by SIGKILL"
    assert len(report.findings) == 1


def test_failing_machine(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(exit=5))
    assert (report.failure, report.machine_failed) == ("QEMU exited with code 5", True)


def test_plugin_that_was_not_loaded(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(exit=1, started=0))
    assert report.failure is not None
    assert "before the machine was watched" in report.failure


def test_plugin_that_gave_up(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(header={"error": "no such table"}))
    assert (report.failure, report.machine_failed) == ("the plugin gave up: no such table", True)


def test_machine_that_vanished(fake_qemu: FakeQemu) -> None:
    report = run(fake_qemu(finished=0))
    assert (report.complete, report.machine_failed) == (False, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_machine_and_the_report_is_partial(
    fake_qemu: FakeQemu, tmp_path: Path, number: signal.Signals
) -> None:
    ready = tmp_path / "ready"

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=interrupt)
    sender.start()
    report = run(fake_qemu(raw=[raw.finding()], sleep=60, ready=str(ready)))
    sender.join()
    assert (report.complete, report.machine_failed) == (False, False)
    assert report.failure == "ended by the user"
    assert len(report.findings) == 1


def test_raw_files_are_kept(fake_qemu: FakeQemu, tmp_path: Path) -> None:
    run(fake_qemu(), keep=tmp_path / "kept")
    assert {f.name for f in (tmp_path / "kept").iterdir()} == {"run", "table", "rules"}


def test_no_room_for_guest_memory(fake_qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "free", lambda _: 1 << 20)
    with pytest.raises(MachineError, match=r"need \d+ MiB.*-m\), or set TMPDIR"):
        run(fake_qemu())


def test_an_abandoned_directory_is_removed_and_one_in_use_is_not(tmp_path: Path) -> None:
    place = tmp_path / "shm"
    (place / "pocwatch-old").mkdir()
    (place / "pocwatch-old" / "lock").touch()
    with workspace.Workspace(0) as first:
        assert not (place / "pocwatch-old").exists()
        with workspace.Workspace(0):
            assert first.path.exists()


def test_missing_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POCWATCH_PLUGIN", str(tmp_path / "none.so"))
    with pytest.raises(
        MachineError, match=r"POCWATCH_PLUGIN=.*none.so: the QEMU plugin is not there"
    ):
        launch.plugin_path()
