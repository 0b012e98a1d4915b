"""Random machines as records of a raw trace, judged at once, or recorded and judged from the recording.

A machine's program is an array of `raw.Traced`, fed to the plugin's seam by `pw_replay`: to judge, or,
with a trace open, to the recorder. Stores change RAM before they are told, so contents come first.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judge_config import Config

from pocwatch.arch.ops import Kind, Op
from pocwatch.line import filter as filters
from pocwatch.line import table
from pocwatch.platforms import Platform
from pocwatch.trace import raw, records
from pocwatch.trace.raw import Mark, Traced
from pocwatch.trace.records import Flag

RAM_BASE = 0x4000_0000
RAM_SIZE = 4 * 4096
LINES = (0, 1, 3, 64, 65, 130)  # in three pages
MAX_FINDINGS = 256
NOP, BRANCH, MOV_0, MOV_1 = 0xD503201F, 0x14000001, 0xD2800000, 0xD2800020
WORDS = (NOP, NOP, BRANCH, MOV_0, MOV_1)
SITES = tuple(range(3, 40, 5))  # with gaps

Findings = list[
    tuple[bytes, tuple[int, ...]]
]  # a finding without sequence numbers, and their order
Answer = tuple[Findings, dict[str, list[int]]]
Rule = tuple[str, int, int, str, int, int]  # drop|weaken, op, becomes, space, low, high


class Plugin:
    """The compiled judge, recorder and replay, over a private RAM."""

    def __init__(self, library: ctypes.CDLL, folder: Path) -> None:
        self.library = library
        self.folder = folder
        for name in ("pw_replay_open", "pw_trace_open"):
            getattr(library, name).restype = ctypes.c_bool
        library.pw_replay.argtypes = (ctypes.c_void_p, ctypes.c_uint64)

    def write_filter(self, platforms: Sequence[Platform]) -> None:
        (self.folder / "filter").write_bytes(filters.binary(platforms))

    def write_table(self, platform: Platform) -> None:
        (self.folder / platform.name).write_bytes(table.binary(platform))

    def open(self, name: str, pes: int, rules: Sequence[Rule] = (), *, shard: bool = False) -> None:
        run = self.folder / "run"
        header = records.RunHeader(
            magic=records.MAGIC,
            version=records.VERSION,
            header_size=ctypes.sizeof(records.RunHeader),
            finding_size=ctypes.sizeof(records.Finding),
            max_findings=MAX_FINDINGS,
            n_pes=pes,
        )
        run.write_bytes(bytes(header) + bytes(MAX_FINDINGS * ctypes.sizeof(records.Finding)))
        text = "".join(
            f"{i} {action} {op} {becomes} {space} {low:#x} {high:#x}\n"
            for i, (action, op, becomes, space, low, high) in enumerate(rules)
        )
        (self.folder / "rules").write_text(text)
        self.config = Config(
            str(run).encode(),
            None,
            RAM_BASE,
            RAM_SIZE,
            str(self.folder / name).encode(),
            str(self.folder / "rules").encode(),
            shard=shard,
        )
        error = ctypes.create_string_buffer(256)
        assert self.library.pw_replay_open(ctypes.byref(self.config), error, 256), error.value

    def feed(self, program: Any) -> None:
        self.library.pw_replay(ctypes.byref(program), len(program))

    def judge(
        self, name: str, pes: int, program: Any, rules: Sequence[Rule] = (), *, shard: bool = False
    ) -> bytes:
        """Return the run file after a program."""
        self.open(name, pes, rules, shard=shard)
        self.feed(program)
        return (self.folder / "run").read_bytes()

    def record(self, name: str, pes: int, program: Any) -> Any:
        """Return the trace of a program, as an array of records."""
        path, error = self.folder / "trace", ctypes.create_string_buffer(256)
        self.open(name, pes)
        trace, keep = str(path).encode(), str(self.folder / "filter").encode()
        assert self.library.pw_trace_open(trace, keep, None, error, 256), error.value
        self.library.pw_trace_start()
        self.feed(program)
        self.library.pw_trace_close()
        data = path.read_bytes()[ctypes.sizeof(raw.Header) :]
        return (Traced * (len(data) // ctypes.sizeof(Traced))).from_buffer_copy(data)

    def merge(self, runs: Sequence[bytes]) -> bytes:
        """Return the run file of shards."""
        into = ctypes.create_string_buffer(runs[0], len(runs[0]))
        for run in runs[1:]:
            self.library.pw_report_merge(into, run)
        return into.raw


def found(run: bytes) -> list[records.Finding]:
    """Return the findings of a run file."""
    header = records.RunHeader.from_buffer_copy(run)
    size, start = ctypes.sizeof(records.Finding), ctypes.sizeof(records.RunHeader)
    return [
        records.Finding.from_buffer_copy(run, start + i * size) for i in range(header.n_findings)
    ]


def answer(run: bytes) -> Answer:
    """Return what a run file says, but for numbers that only order events."""
    header = records.RunHeader.from_buffer_copy(run)
    findings: Findings = []
    for finding in found(run):
        finding.first = 0
        events = [finding.writer, *finding.history[: finding.n_history]]
        ranks = sorted({event.seq for event in events})
        order = tuple(ranks.index(event.seq) for event in events)
        finding.writer.seq = 0
        for event in finding.history:
            event.seq = 0
        findings.append((bytes(finding), order))
    counters = {
        name: list(getattr(header, name)) for name in ("maintenance", "redundant", "matched")
    } | {"lost": [header.lost_findings], "overflows": [header.pending_overflows]}
    return findings, counters


def shards(trace: Any, n: int) -> list[Any]:
    """Split a trace by page; what is of no page goes to all."""
    of_all = {Mark.SITE, Mark.STACK, Mark.END}
    parts: list[list[Traced]] = [[] for _ in range(n)]
    for record in trace:
        if record.op in of_all or record.pa == records.NO_ADDRESS:
            for part in parts:
                part.append(record)
        else:
            parts[(record.pa >> 12) % n].append(record)
    return [(Traced * len(part))(*part) for part in parts]


# ---------------------------------------------------------------------- programs

_DATA = (Op.ST,) * 12 + (Op.LD,) * 8
_OTHER = (
    *(Op.DC_ZVA, Op.TW, Op.IF, Op.IF, Op.IF, Op.IF, Op.IF, Op.DMA_RD, Op.DMA_WR),
    *(Op.DC_CVAC, Op.DC_CVAU, Op.DC_CVAU, Op.DC_CIVAC, Op.DC_CIVAC, Op.DC_IVAC, Op.DC_CVAP),
    *(Op.IC_IVAU, Op.IC_IVAU, Op.IC_IVAU, Op.IC_IALLU, Op.IC_IALLUIS, Op.DMB, Op.DMB),
    *(Op.DSB,) * 8,
)
_RARE = (
    *(Op.DC_CSW, Op.DC_CISW, Op.DC_ISW, Op.MMU_ON, Op.MMU_ON, Op.MMU_OFF),
    *(Op.OUTER_CLEAN, Op.OUTER_FLUSH, Op.OUTER_INV, Mark.CONTENT),
)
_KINDS = (Kind.WB,) * 7 + (Kind.NC, Kind.NC, Kind.DEV, Kind.WT)
_OF_NO_LINE = {
    *(Op.DC_CSW, Op.DC_CISW, Op.DC_ISW, Op.IC_IALLU, Op.IC_IALLUIS),
    *(Op.DMB, Op.DSB, Op.MMU_ON, Op.MMU_OFF),
}


class Program:
    """A random program being written."""

    def __init__(self, rng: random.Random, pes: int) -> None:
        self.rng = rng
        self.pes = pes
        self.list: list[Traced] = []
        self.lines = rng.sample(LINES, rng.randint(1, 3))
        self.ram = bytearray(RAM_SIZE)
        self.guests = {pe for pe in range(pes) if rng.random() < 0.3}
        for site in SITES:
            self.list.append(
                Traced(
                    op=Mark.SITE,
                    site=site,
                    va=0xFFFF_0000_0000_1000 + 4 * site,
                    pa=RAM_BASE + 4 * site,
                    ipa=rng.choice(WORDS),
                    el=1 + site % 2,
                )
            )
        if rng.random() < 0.5:  # an image that QEMU loaded
            for line in self.lines:
                for cell in range(8):
                    self.content(64 * line + 8 * cell, self.words(2), initial=True)

    def words(self, n: int) -> bytes:
        return b"".join(self.rng.choice(WORDS).to_bytes(4, "little") for _ in range(n))

    def content(self, offset: int, data: bytes, *, initial: bool = False) -> None:
        """Let RAM change."""
        self.ram[offset : offset + len(data)] = data
        for line in range(offset // 64, (offset + len(data) - 1) // 64 + 1):
            held = bytes(self.ram[64 * line : 64 * line + 64])
            self.list.append(raw.content(not initial, RAM_BASE + 64 * line, held))

    def address(self, size: int) -> int:
        """Pick an offset in one of the lines."""
        return 64 * self.rng.choice(self.lines) + self.rng.randrange(64 // size) * size

    def put(self, op: int, offset: int | None, size: int, kind: int) -> None:
        rng, none = self.rng, records.NO_ADDRESS
        pe = rng.randrange(self.pes)
        guest, va = pe in self.guests, 0 if offset is None else 0x7000_0000 + offset
        flags = (Flag.VM if guest else 0) | (Flag.MMU_ON if rng.random() < 0.8 else 0)
        if op in (Op.IC_IVAU, Op.IC_IALLUIS) or (op == Op.IC_IALLU and rng.random() < 0.3):
            flags |= raw.ALL_PES
        device = op in (Op.DMA_RD, Op.DMA_WR)
        seq = len(self.list) + 1
        self.list.append(
            Traced(
                seq=seq,
                instructions=10 * seq,
                pa=none if offset is None else RAM_BASE + offset,
                va=RAM_BASE + offset if device and offset is not None else va,
                ipa=none if offset is None or not guest else 0x9000_0000 + offset,
                fetch_ipa=0x9100_0000 if guest else none,
                site=0 if device else rng.choice(SITES),
                size=size,
                why=rng.choice((0x40, 0xC0)),
                vm_id=3 + pe if guest else 0,
                op=op,
                kind=kind,
                pe=0 if device else pe,
                flags=0 if device else flags,
                s1_mair=rng.choice((0xFF, 0x44)),
                s2_attr=0xF if guest else 0xFF,
            )
        )

    def step(self, ops: Sequence[int]) -> None:
        rng = self.rng
        op, kind = rng.choice(ops), rng.choice(_KINDS)
        if op in _OF_NO_LINE:
            self.put(op, None, 0, 0)
        elif op == Mark.CONTENT:  # by a device that nobody sees
            self.content(self.address(8), self.words(2))
        elif op in (Op.ST, Op.LD):
            size = rng.choice((1, 4, 4, 4, 8, 8, 16, 32, 64))
            offset = self.address(min(size, 8))
            size = min(size, 64 - offset % 64) if rng.random() < 0.7 else size
            size = min(size, 4096 - offset % 4096)
            if op == Op.ST and rng.random() < 0.7:
                data = self.words(17)[:size] if rng.random() < 0.8 else bytes(size)
                self.content(offset, data)
            self.put(op, offset, size, kind)
        elif op == Op.IF:
            first = rng.randrange(16)
            n = rng.choice((1, 2, 16 - first, 16 - first))
            n = min(n, 16 - first)
            self.put(op, 64 * rng.choice(self.lines) + 4 * first, 4 * n, kind)
        elif op in (Op.TW, Op.DMA_RD, Op.DMA_WR):
            offset = self.address(8)
            if op == Op.DMA_WR:
                self.content(offset, self.words(2))
                kind = rng.choice((Kind.WB, Kind.NC))
            elif op == Op.DMA_RD:
                kind = rng.choice((Kind.WB, Kind.NC))
            self.put(op, offset, 8, kind)
        elif op == Op.DC_ZVA:
            line = rng.choice(self.lines)
            self.content(64 * line, bytes(64))
            self.put(op, 64 * line, 64, Kind.WB)
        else:
            self.put(op, self.address(64), 0, kind)

    def finish(self, steps: int) -> Any:
        rng = self.rng
        if rng.random() < 0.6:
            for _ in range(self.pes):
                self.put(Op.MMU_ON, None, 0, 0)
        rare = 0.0 if rng.random() < 0.4 else 0.08
        for _ in range(steps):
            chance = rng.random()
            self.step(_RARE if chance < rare else _DATA if chance < 0.45 else _OTHER)
            if rng.random() < 0.3:  # the same again: what the recorder may leave out
                again = Traced.from_buffer_copy(self.list[-1])
                again.seq = len(self.list) + 1
                if again.op != Mark.CONTENT:
                    again.instructions += 1
                self.list.append(again)
        return (Traced * len(self.list))(*self.list)


def random_program(rng: random.Random, pes: int, steps: int = 40) -> Any:
    """Return a program of a machine, as an array of records."""
    return Program(rng, pes).finish(steps)


def random_rules(rng: random.Random) -> list[Rule]:
    """Return rules as --drop and --weaken make them, of those that can be replayed."""
    rules: list[Rule] = []
    cleans = (Op.DC_CVAC, Op.DC_CVAU, Op.DC_CIVAC)
    for _ in range(rng.randint(1, 2)):
        op = rng.choice((*cleans, Op.DC_CIVAC, Op.DC_IVAC, Op.IC_IVAU, Op.IC_IALLUIS, Op.DC_CISW))
        space, low, high = rng.choice(
            (
                ("any", 0, 0),
                ("pc", 0xFFFF_0000_0000_1000, 0xFFFF_0000_0000_1000 + 4 * rng.choice(SITES)),
                ("pa", RAM_BASE, RAM_BASE + 4096),
            )
        )
        if op in cleans and rng.random() < 0.4:
            rules.append(("weaken", op, rng.choice(cleans), space, low, high))
        else:
            rules.append(("drop", op, 0, space, low, high))
    return rules
