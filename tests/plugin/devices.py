"""Hand-made devices for the plugin's dma*.c: RAM that both sides write, registers, and what is judged.

The driver stores and loads through `Machine`; what is watched goes to the plugin as in a machine, and
everything to the judge. The device's side changes RAM behind its back, as QEMU does.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path
from typing import Self

from judge import RAM_BASE, Config, Cpu, Page, Site

from pocwatch.arch.ops import Kind, Op
from pocwatch.line import table
from pocwatch.platforms import load
from pocwatch.trace import records

RAM_SIZE = 1 << 20
PAGE = 4096
VIRTIO_MMIO = 0x0A00_0000
ECAM = 0x3F00_0000


class Machine:
    """One PE with its MMU on, RAM, and the buses of a table."""

    def __init__(self, plugin: ctypes.CDLL, folder: Path, buses: str) -> None:
        self.plugin = plugin
        run, ram, automaton = folder / "run", folder / "ram", folder / "table"
        header = records.RunHeader(
            magic=records.MAGIC,
            version=records.VERSION,
            header_size=ctypes.sizeof(records.RunHeader),
            finding_size=ctypes.sizeof(records.Finding),
            max_findings=64,
            n_pes=1,
        )
        run.write_bytes(bytes(header) + bytes(64 * ctypes.sizeof(records.Finding)))
        ram.write_bytes(bytes(RAM_SIZE))
        automaton.write_bytes(table.binary(load("cortex-a57-up")))
        (folder / "dma").write_text(buses)
        config = Config(
            *(str(run).encode(), str(ram).encode(), RAM_BASE, RAM_SIZE),
            *(str(automaton).encode(), None),
            keep_stale=False,
            start_on=1,
        )
        error = ctypes.create_string_buffer(256)
        plugin.pw_judge_open.restype = ctypes.c_bool
        plugin.pw_dma_open.restype = ctypes.c_bool
        plugin.pw_dma_watches.restype = ctypes.c_bool
        assert plugin.pw_judge_open(ctypes.byref(config), error, 256), error.value
        assert plugin.pw_dma_open(str(folder / "dma").encode(), error, 256), error.value
        plugin.pw_run_header.restype = ctypes.POINTER(records.RunHeader)
        self.header = plugin.pw_run_header().contents
        self.run = run
        with ram.open("r+b") as file:
            self.ram = mmap.mmap(file.fileno(), RAM_SIZE)
        self.cpu = Cpu(0, 0, 0, records.NO_ADDRESS)
        self.site = Site(0x1000, 0, 0, 1)

    # ------------------------------------------------------------ the driver

    def store(self, pa: int, value: int, size: int, kind: Kind = Kind.WB) -> Self:
        """Store to RAM."""
        self.device_puts(pa, value.to_bytes(size, "little"))
        self._access(pa, size, True, value, kind)
        return self

    def load(self, pa: int, size: int = 1, kind: Kind = Kind.WB) -> None:
        """Load from RAM."""
        value = int.from_bytes(self.ram[pa - RAM_BASE : pa - RAM_BASE + size], "little")
        self._access(pa, size, False, value, kind)

    def fill(self, pa: int, size: int, kind: Kind = Kind.WB) -> None:
        """Store to every word of some RAM."""
        for at in range(pa, pa + size, 8):
            self.store(at, 0x1122_3344_5566_7788, 8, kind)

    def read(self, pa: int, size: int, kind: Kind = Kind.WB) -> None:
        """Load every word of some RAM."""
        for at in range(pa, pa + size, 8):
            self.load(at, 8, kind)

    def maintain(self, op: Op, pa: int, size: int) -> None:
        """Do maintenance by VA on every line of some RAM, and a DSB."""
        for at in range(pa & -64, pa + size, 64):
            self.plugin.pw_dc(
                ctypes.byref(self.cpu),
                ctypes.byref(self.site),
                self.page(at, Kind.WB),
                ctypes.c_uint64(at),
                int(op),
                0,
            )
        self.plugin.pw_barrier(ctypes.byref(self.cpu), ctypes.byref(self.site), int(Op.DSB))

    def write_register(self, pa: int, value: int, size: int = 4) -> None:
        """Store to a device's register."""
        self._tell(pa, size, True, value)

    def read_register(self, pa: int, value: int, size: int = 4) -> None:
        """Load from a device's register, which says `value`."""
        self._tell(pa, size, False, value)

    def _access(self, pa: int, size: int, store: bool, value: int, kind: Kind) -> None:
        if self.plugin.pw_dma_watches(ctypes.c_uint64(pa & -PAGE)):
            self._tell(pa, size, store, value)
        self.plugin.pw_data_call(
            ctypes.byref(self.cpu),
            ctypes.byref(self.site),
            self.page(pa, kind),
            ctypes.c_uint64(pa),
            size,
            int(Op.ST if store else Op.LD),
        )

    def _tell(self, pa: int, size: int, store: bool, value: int) -> None:
        self.plugin.pw_dma_access(
            ctypes.byref(self.cpu),
            ctypes.byref(self.site),
            ctypes.c_uint64(pa),
            size,
            store,
            ctypes.c_uint64(value),
        )

    def page(self, pa: int, kind: Kind) -> object:
        """Return a page's translation: flat, stage 1 only."""
        return ctypes.byref(Page(pa & -PAGE, records.NO_ADDRESS, 0, kind, 0, 0xFF, 1, 1))

    # ------------------------------------------------------------ the device

    def device_puts(self, pa: int, data: bytes) -> None:
        """Change RAM; nobody is told."""
        self.ram[pa - RAM_BASE : pa - RAM_BASE + len(data)] = data

    def device_gets(self, pa: int, form: str) -> tuple[int, ...]:
        """Return numbers out of RAM."""
        values: tuple[int, ...] = struct.unpack_from(form, self.ram, pa - RAM_BASE)
        return values

    # -------------------------------------------------------------- findings

    def findings(self) -> list[str]:
        """Return the kinds of all findings so far, in order."""
        data = self.run.read_bytes()
        start, size = ctypes.sizeof(records.RunHeader), ctypes.sizeof(records.Finding)
        found = [
            records.Finding.from_buffer_copy(data, start + size * number)
            for number in range(self.header.n_findings)
        ]
        return [records.FindingKind(each.kind).name for each in found]

    def counts(self) -> tuple[str, int, int]:
        """Return the first device's name and the lines it read and wrote."""
        device = self.header.devices[0]
        return device.name.decode(), device.lines_read, device.lines_written
