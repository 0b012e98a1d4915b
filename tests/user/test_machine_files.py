"""Copies of RAM with holes, and the command of a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocwatch.sanitizer import machine as machines
from pocwatch.user.machine import Machine, Shape, copy_sparse

MIB = 1 << 20


def test_only_what_is_there_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for path in (source, target):
        with path.open("wb") as file:
            file.truncate(64 * MIB)
    with source.open("r+b") as file:
        for at in (0, 5 * MIB, 63 * MIB):
            file.seek(at)
            file.write(at.to_bytes(8, "little") * 512)
    copy_sparse(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert os.stat(target).st_blocks * 512 < 4 * MIB


def test_an_empty_file_is_copied(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(MIB)
    copy_sparse(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == bytes(MIB)


@pytest.mark.parametrize("smp", [1, 2])
def test_the_command_is_one_that_run_accepts(tmp_path: Path, smp: int) -> None:
    made = Machine(tmp_path / "Image", Shape("cortex-a57", smp, 512), tmp_path / "snapshot")
    command = made.command(tmp_path / "a,b")
    parsed = machines.parse(command)
    assert (parsed.pes, parsed.ram_size, parsed.cpu) == (smp, 512 * MIB, "cortex-a57")
    assert not parsed.console_on_stdio  # streams are the program's
    assert f"arg={tmp_path}/a,,b" in command[command.index("-semihosting-config") + 1]
    assert command[-2:] == ["-incoming", "defer"]
