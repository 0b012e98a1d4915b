"""NVMe and AHCI controllers behind a PCIe host bridge, by hand: found, named, followed.

NVM Express 2.0 and AHCI 1.3.1. Their rings lie in Non-cacheable memory, as Linux's do for a device that
does not snoop.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from devices import ECAM, PAGE, Machine
from judge import RAM_BASE

from pocwatch.arch.ops import Kind, Op

BAR = 0x1000_0000
SQ, CQ, SQ1, CQ1, LISTS = (RAM_BASE + PAGE * n for n in (1, 2, 3, 4, 5))
DATA = RAM_BASE + PAGE * 32
READ, WRITE, IDENTIFY, CREATE_SQ, CREATE_CQ = 2, 1, 6, 1, 5


@pytest.fixture
def machine(plugin: ctypes.CDLL, tmp_path: Path) -> Machine:
    return Machine(plugin, tmp_path, f"pcie {ECAM:#x} 0x1000000 noncoherent\n")


def enumerate_device(machine: Machine, slot: int, identity: int, class_: int, bar: int) -> None:
    """Do to its configuration space what a kernel does: look, size a BAR, give it its place."""
    config = ECAM + (slot << 15)
    machine.read_register(config, identity)
    machine.read_register(config + 8, class_ << 8)
    at = config + 0x10 + 4 * bar
    machine.read_register(at, 0x4)  # 64 bits, in memory
    machine.write_register(at, 0xFFFF_FFFF)
    machine.read_register(at, 0xFFFF_C004)
    machine.write_register(at, BAR)
    machine.read_register(at, BAR | 4)


@dataclass
class Nvme:
    """A driver of an NVMe controller, and the controller's answers."""

    machine: Machine
    entries: int = 4

    def __post_init__(self) -> None:
        enumerate_device(self.machine, 1, 0x0010_1B36, 0x010802, 0)
        for offset, value, size in (
            (0x24, (self.entries - 1) << 16 | (self.entries - 1), 4),
            (0x28, SQ, 8),
            (0x30, CQ, 8),
            (0x14, 0x0046_0001, 4),
        ):
            self.machine.write_register(BAR + offset, value, size)
        self.tails, self.heads = [0, 0], [0, 0]
        self.phases = [1, 1]

    def submit(
        self, queue: int, opcode: int, prps: tuple[int, int], *words: int, command: int = 7
    ) -> None:
        """Put a command into a queue and ring its doorbell."""
        at = (SQ, SQ1)[queue] + 64 * self.tails[queue]
        entry = struct.pack("<IIQQQQ", opcode | command << 16, 1, 0, 0, *prps)
        entry += struct.pack("<6I", *words, *(0,) * (6 - len(words)))
        for offset in range(0, 64, 8):
            value = int.from_bytes(entry[offset : offset + 8], "little")
            self.machine.store(at + offset, value, 8, Kind.NC)
        self.tails[queue] = (self.tails[queue] + 1) % self.entries
        self.machine.write_register(BAR + 0x1000 + 8 * queue, self.tails[queue])

    def complete(self, queue: int, command: int = 7, status: int = 0) -> None:
        """Let the controller complete a command; the driver sees it."""
        at = (CQ, CQ1)[queue] + 16 * self.heads[queue]
        last = command | self.phases[queue] << 16 | status << 17
        self.machine.device_puts(at, struct.pack("<4I", 0, 0, queue << 16, last))
        self.machine.load(at + 14, 2, Kind.NC)
        self.heads[queue] += 1
        if self.heads[queue] == self.entries:
            self.heads[queue], self.phases[queue] = 0, 1 - self.phases[queue]

    def create_queues(self) -> None:
        """Make the first queues for reads and writes."""
        for opcode, base in ((CREATE_CQ, CQ1), (CREATE_SQ, SQ1)):
            self.submit(0, opcode, (base, 0), (self.entries - 1) << 16 | 1)
            self.complete(0)


def cleaned(machine: Machine, pa: int, size: int) -> None:
    machine.fill(pa, size)
    machine.maintain(Op.DC_CVAC, pa, size)


def test_nvme_writes_read_memory(machine: Machine) -> None:
    """A disk's write: two pages, of which the second was not cleaned."""
    nvme = Nvme(machine)
    nvme.create_queues()
    assert machine.counts()[0] == "NVMe at PCI 00:01.0"
    cleaned(machine, DATA, PAGE)
    cleaned(machine, DATA + 2 * PAGE, PAGE)
    nvme.submit(1, WRITE, (DATA, DATA + 2 * PAGE), 0, 0, 15)
    nvme.complete(1)
    assert machine.findings() == []
    machine.fill(DATA + 2 * PAGE, 8)
    nvme.submit(1, WRITE, (DATA, DATA + 2 * PAGE), 0, 0, 7)  # one page: the second is not used
    nvme.complete(1)
    assert machine.findings() == []
    nvme.submit(1, WRITE, (DATA, DATA + 2 * PAGE), 0, 0, 15)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_nvme_reads_write_memory_when_they_complete(machine: Machine) -> None:
    nvme = Nvme(machine)
    nvme.create_queues()
    cleaned(machine, DATA, PAGE)
    nvme.submit(1, READ, (DATA, 0), 0, 0, 0)  # one block
    machine.read(DATA, 512)
    assert machine.findings() == []  # nothing was written yet
    nvme.complete(1)
    machine.read(DATA + 512, 512)
    assert machine.findings() == []
    machine.read(DATA, 512)
    assert machine.findings() == ["STALE_READ"]


def test_nvme_commands_that_fail_write_nothing(machine: Machine) -> None:
    nvme = Nvme(machine)
    nvme.create_queues()
    cleaned(machine, DATA, PAGE)
    nvme.submit(1, READ, (DATA, 0), 0, 0, 7)
    nvme.complete(1, status=0x80)
    machine.read(DATA, PAGE)
    assert machine.findings() == []


def test_nvme_lists_of_pages_are_read_too(machine: Machine) -> None:
    """Four pages: the second entry points to a list of three, which was left in the cache."""
    nvme = Nvme(machine)
    nvme.create_queues()
    cleaned(machine, DATA, 4 * PAGE)
    for number in (1, 2, 3):
        machine.store(LISTS + 8 * (number - 1), DATA + PAGE * number, 8)
    nvme.submit(1, WRITE, (DATA, LISTS), 0, 0, 31)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_nvme_queues_go_round(machine: Machine) -> None:
    nvme = Nvme(machine)
    nvme.create_queues()
    for number in range(11):
        machine.fill(DATA + 512 * number, 512)
        if number < 10:
            machine.maintain(Op.DC_CVAC, DATA + 512 * number, 512)
        nvme.submit(1, WRITE, (DATA + 512 * number, 0), 0, 0, 0, command=number)
        assert machine.findings() == (["DMA_STALE_READ"] if number == 10 else []), number
        nvme.complete(1, number)


def test_nvme_blocks_may_be_larger(machine: Machine) -> None:
    """Identify Namespace says how long a block is: here 4096 bytes."""
    nvme = Nvme(machine)
    nvme.create_queues()
    nvme.submit(0, IDENTIFY, (LISTS, 0), 0)
    machine.device_puts(LISTS + 128, struct.pack("<I", 12 << 16))
    nvme.complete(0)
    cleaned(machine, DATA, PAGE)
    machine.fill(DATA + PAGE - 64, 64)
    nvme.submit(1, WRITE, (DATA, 0), 0, 0, 0)
    assert machine.findings() == ["DMA_STALE_READ"]


LIST, RECEIVED, TABLE = SQ, CQ, SQ1


@dataclass
class Ahci:
    """A driver of an AHCI controller's first port."""

    machine: Machine
    queued: bool = False

    def __post_init__(self) -> None:
        enumerate_device(self.machine, 2, 0x2922_8086, 0x010601, 5)
        for offset, value in ((0x00, LIST), (0x04, 0), (0x08, RECEIVED), (0x0C, 0)):
            self.machine.write_register(BAR + 0x100 + offset, value)

    def issue(self, command: int, data: int, size: int, *, write: bool) -> None:
        """Issue a command in slot 3 with one region of data."""
        header, put = LIST + 32 * 3, self.machine.store
        put(TABLE, 0x8027 | command << 16, 4, Kind.NC)
        put(TABLE + 0x80, data, 8, Kind.NC)
        put(TABLE + 0x8C, size - 1, 4, Kind.NC)
        put(header, 1 << 16 | write << 6 | 5, 4, Kind.NC)
        put(header + 8, TABLE, 8, Kind.NC)
        if self.queued:
            self.machine.write_register(BAR + 0x134, 1 << 3)
        self.machine.write_register(BAR + 0x138, 1 << 3)

    def look(self, busy: int) -> None:
        """Read which slots are busy, as the interrupt handler does."""
        self.machine.read_register(BAR + 0x134, busy if self.queued else 0)
        self.machine.read_register(BAR + 0x138, 0 if self.queued else busy)


@pytest.fixture(params=[False, True], ids=["dma", "queued"])
def ahci(request: pytest.FixtureRequest, machine: Machine) -> Ahci:
    return Ahci(machine, request.param)


def test_ahci_writes_read_memory(machine: Machine, ahci: Ahci) -> None:
    cleaned(machine, DATA, 512)
    ahci.issue(0x61 if ahci.queued else 0x35, DATA, 512, write=True)
    ahci.look(0)
    assert machine.findings() == []
    assert machine.counts()[0] == "AHCI at PCI 00:02.0"
    machine.fill(DATA + 448, 64)
    ahci.issue(0x61 if ahci.queued else 0x35, DATA, 512, write=True)
    assert machine.findings() == ["DMA_STALE_READ"]


def test_ahci_reads_write_memory_when_the_slot_is_free(machine: Machine, ahci: Ahci) -> None:
    cleaned(machine, DATA, 512)
    ahci.issue(0x60 if ahci.queued else 0x25, DATA, 512, write=False)
    ahci.look(1 << 3)
    machine.read(DATA, 512)
    assert machine.findings() == []
    ahci.look(0)
    machine.maintain(Op.DC_IVAC, DATA, 256)
    machine.read(DATA, 256)
    assert machine.findings() == []
    machine.read(DATA + 256, 256)
    assert machine.findings() == ["STALE_READ"]


def test_other_devices_are_left_alone(machine: Machine) -> None:
    enumerate_device(machine, 1, 0x100E_8086, 0x020000, 0)
    machine.write_register(BAR + 0x1000, 1)
    assert machine.header.n_devices == 0
