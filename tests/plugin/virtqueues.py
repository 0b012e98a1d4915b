"""The driver's and the device's side of virtqueues, split and packed, on a hand-made machine.

VIRTIO 1.2, "Split Virtqueues", "Packed Virtqueues". The rings lie in Non-cacheable memory, as those of
Linux do for a device that does not snoop; for one that does, `kind` is write-back. Buffers are (PA,
bytes, whether the device writes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from devices import PAGE, VIRTIO_MMIO, Machine
from judge import RAM_BASE

from pocwatch.arch.ops import Kind

NEXT, WRITE, INDIRECT, AVAILABLE, USED = 1, 2, 4, 1 << 7, 1 << 15
DESCRIPTORS, DRIVER, DEVICE, TABLE = (RAM_BASE + PAGE * n for n in (1, 2, 3, 4))
_ACCESS_PLATFORM, _PACKED = 1 << 1, 1 << 2  # of the upper 32 features

Buffer = tuple[int, int, bool]


def start(machine: Machine, size: int, *, packed: bool = False, platform: bool = True) -> None:
    """Initialise a device on MMIO, with one queue."""
    machine.read_register(VIRTIO_MMIO + 0x008, 2)
    features = _ACCESS_PLATFORM * platform | _PACKED * packed
    for offset, value in (
        *((0x024, 1), (0x020, features), (0x030, 0), (0x038, size)),
        *((0x080, DESCRIPTORS), (0x084, 0), (0x090, DRIVER), (0x094, 0)),
        *((0x0A0, DEVICE), (0x0A4, 0), (0x044, 1)),
    ):
        machine.write_register(VIRTIO_MMIO + offset, value)


def notify(machine: Machine) -> None:
    """Ring for the queue."""
    machine.write_register(VIRTIO_MMIO + 0x050, 0)


def _descriptor(ring: Split | Packed, at: int, buffer: Buffer, third: int, fourth: int) -> None:
    """Store the 16 bytes of a descriptor, its last field last."""
    pa, size, _ = buffer
    for offset, value, width in ((0, pa, 8), (8, size, 4), (12, third, 2), (14, fourth, 2)):
        ring.machine.store(at + offset, value, width, ring.kind)


@dataclass
class Split:
    """A split ring."""

    machine: Machine
    size: int
    available: int = 0
    used: int = 0
    kind: Kind = Kind.NC

    def hand_over(self, *buffers: Buffer, head: int = 0, indirect: bool = False) -> None:
        """Make a chain available; in a table of its own if `indirect`."""
        base, first, most = (TABLE, 0, 1 << 16) if indirect else (DESCRIPTORS, head, self.size)
        for number, buffer in enumerate(buffers):
            at, more = (first + number) % most, number + 1 < len(buffers)
            flags = (NEXT if more else 0) | (WRITE if buffer[2] else 0)
            _descriptor(self, base + 16 * at, buffer, flags, (at + 1) % most * more)
        if indirect:
            table = (TABLE, 16 * len(buffers), False)
            _descriptor(self, DESCRIPTORS + 16 * head, table, INDIRECT, 0)
        self.machine.store(DRIVER + 4 + 2 * (self.available % self.size), head, 2, self.kind)
        self.available = (self.available + 1) % (1 << 16)
        self.machine.store(DRIVER + 2, self.available, 2, self.kind)

    def device_uses(self, head: int, written: int) -> None:
        """Let the device give a chain back, with so many bytes written."""
        at = DEVICE + 4 + 8 * (self.used % self.size)
        self.machine.device_puts(at, struct.pack("<II", head, written))
        self.used = (self.used + 1) % (1 << 16)
        self.machine.device_puts(DEVICE + 2, struct.pack("<H", self.used))

    def take_back(self) -> None:
        """Look whether something came back."""
        self.machine.load(DEVICE + 2, 2, self.kind)


@dataclass
class Packed:
    """A packed ring."""

    machine: Machine
    size: int
    available: int = 0
    available_wrap: bool = True
    used: int = 0
    used_wrap: bool = True
    next_used: int = 0
    kind: Kind = Kind.NC

    def hand_over(self, *buffers: Buffer, head: int = 0, indirect: bool = False) -> None:
        """Make a chain available under the number `head`: the first descriptor's flags come last."""
        if indirect:
            for number, buffer in enumerate(buffers):
                flags = WRITE if buffer[2] else 0
                _descriptor(self, TABLE + 16 * number, buffer, 0, flags)
            buffers = ((TABLE, 16 * len(buffers), False),)
        flags_of = list[tuple[int, int]]()
        for number, buffer in enumerate(buffers):
            at = DESCRIPTORS + 16 * self.available
            flags = AVAILABLE if self.available_wrap else USED
            flags |= (NEXT if number + 1 < len(buffers) else 0) | (WRITE if buffer[2] else 0)
            flags |= INDIRECT if indirect else 0
            for offset, value, width in ((0, buffer[0], 8), (8, buffer[1], 4), (12, head, 2)):
                self.machine.store(at + offset, value, width, self.kind)
            flags_of.append((at + 14, flags))
            self.available += 1
            if self.available == self.size:
                self.available, self.available_wrap = 0, not self.available_wrap
        for at, flags in reversed(flags_of):
            self.machine.store(at, flags, 2, self.kind)

    def device_uses(self, head: int, written: int, descriptors: int = 1) -> None:
        """Let the device give a chain of so many descriptors back: over the first of them."""
        at = DESCRIPTORS + 16 * self.used
        flags = AVAILABLE | USED if self.used_wrap else 0
        self.machine.device_puts(at + 8, struct.pack("<IHH", written, head, flags))
        self.next_used = at
        self.used += descriptors
        if self.used >= self.size:
            self.used, self.used_wrap = self.used - self.size, not self.used_wrap

    def take_back(self) -> None:
        """Look whether something came back."""
        self.machine.load(self.next_used + 14, 2, self.kind)
