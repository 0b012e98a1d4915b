"""Is this QEMU usable? Asked of fake ones."""

from __future__ import annotations

import pytest
from fake_machine import FakeQemu

from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.qemu import find


def test_good(fake_qemu: FakeQemu) -> None:
    assert find(str(fake_qemu())).version == "10.0.2"


@pytest.mark.parametrize("version", ["9.0.4", "8.2.1", "7.2.19"])
def test_too_old(fake_qemu: FakeQemu, version: str) -> None:
    with pytest.raises(MachineError, match=rf"is QEMU {version}; pocwatch needs 9.1 or newer"):
        find(str(fake_qemu(version=version)))


@pytest.mark.parametrize("version", ["9.1.0", "10.2.0-rc1"])
def test_new_enough(fake_qemu: FakeQemu, version: str) -> None:
    assert find(str(fake_qemu(version=version))).version == version


def test_without_plugins(fake_qemu: FakeQemu) -> None:
    with pytest.raises(MachineError, match="built without plugins"):
        find(str(fake_qemu(help="usage")))


def test_missing() -> None:
    with pytest.raises(MachineError, match=r"no such program; install QEMU 9.1"):
        find("qemu-system-aarch64-that-is-not-there")


def test_not_qemu() -> None:
    with pytest.raises(UsageError, match="does not look like QEMU"):
        find("/bin/true")


def test_other_name_without_an_arm_machine(fake_qemu: FakeQemu) -> None:
    with pytest.raises(UsageError, match="no Arm machine `virt`"):
        find(str(fake_qemu("my-qemu", machines="pc   Standard PC")))
