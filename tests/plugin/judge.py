"""The plugin's judge through ctypes, driven by words of `pocwatch line`.

Every word runs on a fresh 64-byte line; afterwards all PEs are brought to rest, as the judge's PEs
outlive a word.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from judge_config import Config

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind, Op
from pocwatch.line import table
from pocwatch.line.word import Step
from pocwatch.platforms import Platform
from pocwatch.trace import records

RAM_BASE = 0x4000_0000
LINE = 64
SET_WAY = (Op.DC_CSW, Op.DC_CISW, Op.DC_ISW)


class Site(ctypes.Structure):
    _fields_ = (
        ("pc", ctypes.c_uint64),
        ("pc_pa", ctypes.c_uint64),
        ("insn", ctypes.c_uint32),
        ("el", ctypes.c_uint8),
    )


class Page(ctypes.Structure):
    _fields_ = (
        ("pa", ctypes.c_uint64),
        ("ipa", ctypes.c_uint64),
        ("why", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("s1_mair", ctypes.c_uint8),
        ("s2_attr", ctypes.c_uint8),
        ("mmu_on", ctypes.c_uint8),
        ("in_ram", ctypes.c_uint8),
    )


class Cpu(ctypes.Structure):
    _fields_ = (
        ("pe", ctypes.c_uint8),
        ("vm", ctypes.c_uint8),
        ("vm_id", ctypes.c_uint16),
        ("fetch_ipa", ctypes.c_uint64),
    )


class Judge:
    """The compiled judge over a little RAM, for words on one platform."""

    def __init__(
        self, library: ctypes.CDLL, folder: Path, platform: Platform, lines: int, *, pes: int
    ) -> None:
        self.library = library
        self.pes = pes
        self.lines = lines
        self.next_line = 0
        run, ram, automaton = folder / "run", folder / "ram", folder / "table"
        header = records.RunHeader(
            magic=records.MAGIC,
            version=records.VERSION,
            header_size=ctypes.sizeof(records.RunHeader),
            finding_size=ctypes.sizeof(records.Finding),
            max_findings=4,
            n_pes=platform.pes,
        )
        run.write_bytes(bytes(header) + bytes(4 * ctypes.sizeof(records.Finding)))
        ram_size = -(-lines * LINE // 4096) * 4096
        ram.write_bytes(bytes(ram_size))
        automaton.write_bytes(table.binary(platform))
        self.config = Config(
            str(run).encode(),
            str(ram).encode(),
            RAM_BASE,
            ram_size,
            str(automaton).encode(),
            None,
            keep_stale=True,
            start_on=pes,
        )
        error = ctypes.create_string_buffer(256)
        library.pw_judge_open.restype = ctypes.c_bool
        library.pw_reports.restype = ctypes.c_uint64
        opened = library.pw_judge_open(ctypes.byref(self.config), error, 256)
        assert opened, error.value
        library.pw_run_header.restype = ctypes.POINTER(records.RunHeader)
        self.header = library.pw_run_header().contents
        self.cpus = [Cpu(pe, 0, 0, records.NO_ADDRESS) for pe in range(pes)]
        self.sites = [ctypes.byref(Site(0x1000 + 4 * pe, 0, 0, 1)) for pe in range(pes)]

    def stale(self, steps: Sequence[Step]) -> list[bool | None]:
        """Return for each step whether it was reported; None for steps that are no reads."""
        assert self.next_line < self.lines, "out of lines: open another judge"
        pa = RAM_BASE + LINE * self.next_line
        self.next_line += 1
        verdicts: list[bool | None] = []
        for step in steps:
            before = self.library.pw_reports()
            self._do(step, pa)
            reported = self.library.pw_reports() > before
            is_read = step.op in (Op.LD, Op.TW, Op.IF, Op.DMA_RD)
            assert is_read or not reported, step
            verdicts.append(reported if is_read else None)
        for pe in range(self.pes):
            self._do(Step(Op.DSB, pe), pa)
            self._do(Step(Op.MMU_ON, pe), pa)
        return verdicts

    def _page(self, pa: int, kind: Kind, *, mmu_on: bool = True) -> object:
        page = Page(pa & ~4095, records.NO_ADDRESS, 0, kind, 0, 0xFF, mmu_on, 1)
        return ctypes.byref(page)

    def _do(self, step: Step, line_pa: int) -> None:
        call, op = self.library, step.op
        pa = line_pa + step.offset
        address = ctypes.c_uint64(pa)
        if op in (Op.DMA_RD, Op.DMA_WR):
            call.pw_dma(address, 8 - pa % 8, op is Op.DMA_WR, bool(step.coherent))
            return
        if op in OUTER_MAINTENANCE:
            call.pw_outer(address, int(op))
            return
        cpu, site = ctypes.byref(self.cpus[step.agent]), self.sites[step.agent]
        page = self._page(pa, step.kind if step.kind is not None else Kind.WB)
        if op in (Op.LD, Op.ST):
            call.pw_data_call(cpu, site, page, address, 1, int(op))
        elif op is Op.TW:
            call.pw_walk(cpu, site, ctypes.c_uint64(pa & ~7), int(step.kind or 0), 0, address)
        elif op is Op.IF:
            page = self._page(pa, step.kind or Kind.WB, mmu_on=step.kind is not Kind.NC)
            call.pw_fetch_call(cpu, site, page, ctypes.c_uint64(pa & ~3), 1)
        elif op is Op.DC_ZVA:
            call.pw_zva(cpu, site, page, ctypes.c_uint64(line_pa), LINE)
        elif op in DATA_MAINTENANCE:
            page = None if op in SET_WAY else page
            call.pw_dc(cpu, site, page, address, int(op), 0)
        elif op is Op.IC_IVAU:
            call.pw_ic(cpu, site, page, address, int(op), True)
        elif op in (Op.IC_IALLU, Op.IC_IALLUIS):
            call.pw_ic(cpu, site, None, address, int(op), op is Op.IC_IALLUIS)
        elif op in (Op.MMU_ON, Op.MMU_OFF):
            call.pw_mmu(cpu, op is Op.MMU_ON)
        else:
            call.pw_barrier(cpu, site, int(op))
