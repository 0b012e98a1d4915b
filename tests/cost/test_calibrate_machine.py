"""What Linux says of the machine: sysfs as it looks on Arm64, and where it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.cost.calibrate import machine
from pocwatch.cost.calibrate.errors import CannotCalibrateError


def sysfs(folder: Path, caches: list[tuple[str, str, str]]) -> Path:
    for number, (level, kind, size) in enumerate(caches):
        index = folder / "cache" / f"index{number}"
        index.mkdir(parents=True)
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (index / name).write_text(f"{value}\n")
    return folder


def test_the_last_cache(tmp_path: Path) -> None:
    caches = [("1", "Data", "64K"), ("1", "Instruction", "64K"), ("2", "Unified", "512K")]
    assert machine.last_cache_kib(sysfs(tmp_path / "two", caches)) == 512
    caches.append(("3", "Unified", "32M"))
    assert machine.last_cache_kib(sysfs(tmp_path / "three", caches)) == 32768


def test_caches_that_linux_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(CannotCalibrateError, match="give the size of the last one with --last-cache"):
        machine.last_cache_kib(tmp_path)
    unknown = sysfs(tmp_path / "odd", [("x", "Data", "64K"), ("2", "Unified", "much")])
    with pytest.raises(CannotCalibrateError):
        machine.last_cache_kib(unknown)


def test_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    machine.require_arm64()
    for system, processor in (("linux", "riscv64"), ("darwin", "arm64")):
        monkeypatch.setattr(machine.sys, "platform", system)
        monkeypatch.setattr(machine.platform, "machine", lambda processor=processor: processor)
        with pytest.raises(CannotCalibrateError, match=f"must be Arm64 Linux; this is {processor} "):
            machine.require_arm64()


def test_midr(tmp_path: Path) -> None:
    assert machine.midr(tmp_path) == ""
    folder = tmp_path / "regs" / "identification"
    folder.mkdir(parents=True)
    (folder / "midr_el1").write_text("0x00000000481fd010\n")
    assert machine.midr(tmp_path) == "0x00000000481fd010"
