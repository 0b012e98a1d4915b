"""Virtqueues by hand: what a device reads and writes, and what is found of a driver's mistakes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from devices import PAGE, VIRTIO_MMIO, Machine
from judge import RAM_BASE
from virtqueues import Packed, Split, notify, start

from pocwatch.arch.ops import Kind, Op

BUFFER, REPLY = RAM_BASE + PAGE * 16, RAM_BASE + PAGE * 32
UNUSED = RAM_BASE + PAGE * 48
PLATFORM = f"virtio-mmio {VIRTIO_MMIO:#x} 0x200 noncoherent\n"


@pytest.fixture
def machine(plugin: ctypes.CDLL, tmp_path: Path) -> Machine:
    return Machine(plugin, tmp_path, PLATFORM)


@pytest.fixture(params=[Split, Packed])
def ring(request: pytest.FixtureRequest, machine: Machine) -> Split | Packed:
    start(machine, 4, packed=request.param is Packed)
    made: Split | Packed = request.param(machine, 4)
    return made


def cleaned(machine: Machine, pa: int, size: int) -> None:
    machine.fill(pa, size)
    machine.maintain(Op.DC_CVAC, pa, size)


def test_a_buffer_that_was_cleaned_is_read_fresh(machine: Machine, ring: Split | Packed) -> None:
    cleaned(machine, BUFFER, 128)
    ring.hand_over((BUFFER, 128, False))
    notify(machine)
    assert machine.findings() == []
    name, read, written = machine.counts()
    assert name == "virtio-blk at 0xa000000"
    assert read >= 2
    assert written == 0


def test_a_buffer_that_was_not_is_a_stale_read_of_the_device(
    machine: Machine, ring: Split | Packed
) -> None:
    machine.fill(BUFFER, 128)
    ring.hand_over((BUFFER, 128, False))
    assert machine.findings() == []  # the device was not told yet
    notify(machine)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_maintenance_without_a_dsb_is_not_enough(
    machine: Machine, plugin: ctypes.CDLL, ring: Split | Packed
) -> None:
    machine.fill(BUFFER, 64)
    cpu, site = ctypes.byref(machine.cpu), ctypes.byref(machine.site)
    page = machine.page(BUFFER, Kind.WB)
    plugin.pw_dc(cpu, site, page, ctypes.c_uint64(BUFFER), int(Op.DC_CVAC), 0)
    ring.hand_over((BUFFER, 64, False))
    notify(machine)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_a_reply_is_stale_until_it_is_invalidated(machine: Machine, ring: Split | Packed) -> None:
    cleaned(machine, REPLY, 64)
    ring.hand_over((REPLY, 64, True))
    notify(machine)
    ring.device_uses(0, 64)
    ring.take_back()
    machine.maintain(Op.DC_IVAC, REPLY, 64)
    machine.read(REPLY, 64)
    assert machine.findings() == []
    cleaned(machine, REPLY, 64)
    ring.hand_over((REPLY, 64, True))
    notify(machine)
    ring.device_uses(0, 64)
    ring.take_back()
    machine.read(REPLY, 64)
    assert machine.findings() == ["STALE_READ"]


def test_only_what_the_device_wrote_counts(machine: Machine, ring: Split | Packed) -> None:
    """The second line of the buffer was not used: it is as the driver left it."""
    cleaned(machine, REPLY, 128)
    ring.hand_over((REPLY, 128, True))
    notify(machine)
    ring.device_uses(0, 64)
    ring.take_back()
    machine.read(REPLY + 64, 64)
    assert machine.findings() == []
    machine.read(REPLY, 64)
    assert machine.findings() == ["STALE_READ"]


def test_a_dirty_line_under_a_reply_is_a_lost_write(machine: Machine, ring: Split | Packed) -> None:
    machine.fill(REPLY, 64)
    ring.hand_over((REPLY, 64, True))
    notify(machine)
    ring.device_uses(0, 64)
    ring.take_back()
    machine.maintain(Op.DC_IVAC, REPLY, 64)
    machine.read(REPLY, 64)
    assert machine.findings() == ["LOST_WRITE"]


@pytest.mark.parametrize("indirect", [False, True])
def test_every_buffer_of_a_chain_is_seen(
    machine: Machine, ring: Split | Packed, indirect: bool
) -> None:
    request, second = BUFFER, BUFFER + PAGE
    cleaned(machine, request, 64)
    machine.fill(second, 64)
    cleaned(machine, REPLY, 64)
    chain = ((request, 64, False), (second, 64, False), (REPLY, 64, True))
    ring.hand_over(*chain, indirect=indirect)
    notify(machine)
    assert machine.findings() == ["DMA_STALE_READ"]  # of `second`
    used = (0, 64) if indirect or isinstance(ring, Split) else (0, 64, 3)
    ring.device_uses(*used)
    ring.take_back()
    machine.read(REPLY, 64)
    assert machine.findings() == ["DMA_STALE_READ", "STALE_READ"]


def test_a_ring_goes_round(machine: Machine, ring: Split | Packed) -> None:
    """Ten buffers through a ring of four; only the last is not cleaned."""
    for number in range(10):
        pa = BUFFER + 64 * number
        machine.fill(pa, 64)
        if number < 9:
            machine.maintain(Op.DC_CVAC, pa, 64)
        ring.hand_over((pa, 64, False), head=number % 3)
        notify(machine)
        assert machine.findings() == (["DMA_STALE_READ"] if number == 9 else []), number
        ring.device_uses(number % 3, 0)
        ring.take_back()


def test_chains_go_round_a_ring_whose_size_they_do_not_divide(
    machine: Machine, ring: Split | Packed
) -> None:
    for number in range(9):
        cleaned(machine, REPLY + 128 * number, 128)
        halves = [(REPLY + 128 * number + half, 64, True) for half in (0, 64)]
        indirect = [(UNUSED, 64, True)] if number % 2 else []
        ring.hand_over(*halves, *indirect, head=0)
        notify(machine)
        descriptors = len(halves) + len(indirect)
        ring.device_uses(*((0, 128) if isinstance(ring, Split) else (0, 128, descriptors)))
        ring.take_back()
        machine.maintain(Op.DC_IVAC, REPLY + 128 * number, 128)
        machine.read(REPLY + 128 * number, 128)
    assert machine.findings() == []
    machine.load(UNUSED)
    assert machine.findings() == []  # handed over, and not written
    _, _, written = machine.counts()
    assert written >= 18


def test_what_was_not_announced_is_seen_when_it_comes_back(
    machine: Machine, ring: Split | Packed
) -> None:
    """A device that polls needs no notification."""
    machine.fill(BUFFER, 64)
    ring.hand_over((BUFFER, 64, False))
    ring.device_uses(0, 0)
    ring.take_back()
    assert machine.findings() == ["DMA_STALE_READ"]


def test_a_packed_descriptor_is_known_when_the_device_was_faster(machine: Machine) -> None:
    """The device writes over the descriptor before the notification is seen."""
    start(machine, 4, packed=True)
    ring = Packed(machine, 4)
    machine.fill(BUFFER, 64)
    ring.hand_over((BUFFER, 64, False))
    ring.device_uses(0, 0)
    notify(machine)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_a_device_without_access_platform_snoops(machine: Machine) -> None:
    """Without VIRTIO_F_ACCESS_PLATFORM the device is no part of the platform."""
    start(machine, 4, platform=False)
    ring = Split(machine, 4, kind=Kind.WB)
    machine.fill(BUFFER, 64)
    ring.hand_over((BUFFER, 64, False))
    notify(machine)
    assert machine.findings() == []
    assert machine.counts()[1] >= 1


def test_the_device_tree_may_say_that_it_snoops(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    machine = Machine(plugin, tmp_path, PLATFORM.replace("noncoherent", "coherent"))
    start(machine, 4)
    ring = Split(machine, 4, kind=Kind.WB)
    machine.fill(BUFFER, 64)
    machine.fill(REPLY, 64)
    ring.hand_over((BUFFER, 64, False), (REPLY, 64, True))
    notify(machine)
    ring.device_uses(0, 64)
    ring.take_back()
    machine.read(REPLY, 64)
    assert machine.findings() == []
    assert machine.counts()[2] >= 1


def test_a_reset_forgets_the_queues(machine: Machine, ring: Split | Packed) -> None:
    machine.fill(BUFFER, 64)
    ring.hand_over((BUFFER, 64, False))
    machine.write_register(VIRTIO_MMIO + 0x070, 0)
    notify(machine)
    assert machine.findings() == []


@pytest.mark.parametrize("line", ["nonsense", "pcie 0x1 0x2", "pcie 0x1 0x2 maybe", "usb 1 2 coherent"])
def test_a_table_that_is_none_is_refused(plugin: ctypes.CDLL, tmp_path: Path, line: str) -> None:
    (tmp_path / "table").write_text(f"{PLATFORM}{line}\n")
    error = ctypes.create_string_buffer(256)
    assert not plugin.pw_dma_open(str(tmp_path / "table").encode(), error, 256)
    assert b"line 2 is malformed" in error.value
