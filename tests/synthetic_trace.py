"""Raw traces that no machine made, large or small, for tests: the same for the same seed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from pocwatch.arch.ops import Kind, Op
from pocwatch.trace import raw
from pocwatch.trace.encode import TRACED, Place
from pocwatch.trace.info import Info, Machine
from pocwatch.trace.raw import NO_ADDRESS, Mark
from pocwatch.trace.records import Flag
from pocwatch.trace.writer import Writer

RAM_BASE, RAM_SIZE = 0x4000_0000, 64 << 20
CODE = 0xFFFF_8000_0800_0000
OPS = {int(op): op.spelling for op in Op}
KINDS = tuple(kind.name.lower() for kind in Kind)
_OPS = (Op.ST, Op.LD, Op.IF, Op.TW, Op.DC_CIVAC, Op.DC_CVAU, Op.IC_IVAU, Op.DMA_WR)
_OF_NO_LINE = (Op.DSB, Op.ISB, Op.DMB, Op.IC_IALLUIS, Op.DC_CISW, Op.MMU_ON)


class Functions:
    """Names for code: `f0`, `f1`, ..., 64 bytes each; none for user space."""

    def symbols(self, places: Sequence[Place]) -> list[str | None]:
        return [self.name(place.pc) for place in places]

    @staticmethod
    def name(pc: int) -> str | None:
        if pc < CODE:
            return None
        number, offset = divmod(pc - CODE, 64)
        return f"f{number}+{offset:#x}" if offset else f"f{number}"


def info(**values: Any) -> Info:
    return Info(
        **{
            "command": ["pocwatch", "record"],
            "qemu": "10.0.2",
            "platforms": [{"name": "xgene-l3"}],
            "machine": Machine(2, RAM_BASE, RAM_SIZE),
            "ops": OPS,
            "kinds": KINDS,
            **values,
        }
    )


def records(n: int, *, seed: int = 1, sites: int = 500, lines: int = 2000, first: int = 1) -> Any:
    """Return marks for `sites` instructions and a tenth as many frames, then `n` things that happen."""
    random = np.random.default_rng(seed)
    frames = sites // 10
    marks = np.zeros(sites + frames, TRACED)
    marks["fetch_ipa"] = NO_ADDRESS
    marks["op"][:sites], marks["op"][sites:] = Mark.SITE, Mark.STACK
    marks["va"] = CODE + 4 * random.integers(0, sites * 8, sites + frames).astype("u8")
    marks["va"][:sites:7] = 0x40_0000 + 4 * np.arange(len(marks["va"][:sites:7]))
    marks["pa"] = marks["va"] - CODE + RAM_BASE
    marks["ipa"][:sites] = random.integers(0, 1 << 32, sites)
    marks["el"] = np.where(marks["va"] < CODE, 0, 1)
    marks["vm_id"][sites:] = random.integers(0, 2, frames)
    marks["ipa"][sites:] = np.where(marks["vm_id"][sites:], 0x8000_0000, NO_ADDRESS)
    marks["flags"][sites:] = random.integers(0, 2, frames)
    marks["site"][:sites] = np.arange(2, 2 * sites + 2, 2)  # in between: not needed
    marks["stack"][sites:] = np.arange(1, frames + 1)
    marks["writer"][sites:] = [random.integers(0, i + 1) for i in range(frames)]
    rows = np.zeros(n, TRACED)
    rows["seq"] = np.arange(first, first + n)
    rows["instructions"] = np.cumsum(random.integers(1, 400, n))
    rows["site"] = 2 * random.integers(1, sites + 1, n)
    site = marks[rows["site"] // 2 - 1]
    rows["op"] = random.choice([int(op) for op in _OPS], n)
    rows["pa"] = RAM_BASE + 64 * random.integers(0, lines, n) + 8 * random.integers(0, 8, n)
    rows["va"] = rows["pa"] + CODE
    vm = random.random(n) < 0.3
    rows["ipa"] = np.where(vm, rows["pa"] + 0x1000, NO_ADDRESS)
    rows["fetch_ipa"] = np.where(vm, site["pa"] & ~np.uint64(0xFFF), NO_ADDRESS)
    rows["flags"] = np.where(vm, int(Flag.VM), 0) | np.where(random.random(n) < 0.9, 2, 0)
    rows["vm_id"], rows["el"], rows["pe"] = vm, site["el"], random.integers(0, 2, n)
    rows["size"], rows["kind"] = 8, random.integers(0, 4, n)
    rows["why"], rows["s1_mair"] = random.choice([1, 64, 64 | 128, 2048 | 1], n), 0xFF
    rows["s2_attr"] = np.where(vm, 0xF, 0xFF)
    rows["stack"] = np.where(rows["op"] == Op.DC_CIVAC, random.integers(0, frames + 1, n), 0)
    of_none = random.random(n) < 0.1
    rows["op"][of_none] = random.choice([int(op) for op in _OF_NO_LINE], of_none.sum())
    for name in ("pa", "va", "ipa"):
        rows[name][of_none] = NO_ADDRESS
    rows["op"][::97], rows["op"][1::97] = Mark.CONTENT, Mark.WRITER
    for at, is_content in ((slice(0, None, 97), True), (slice(1, None, 97), False)):
        keep = {"seq": rows["seq"][at].copy(), "op": rows["op"][at].copy()}
        count = len(keep["seq"])
        cells = random.integers(0, lines * 8, count) * 8
        who = 2 * random.integers(1, sites + 1, count) | random.integers(0, 256, count) << 24
        rows[at] = np.zeros(1, TRACED)
        rows["va"][at] = rows["ipa"][at] = rows["fetch_ipa"][at] = NO_ADDRESS
        rows["seq"][at], rows["op"][at] = keep["seq"], keep["op"]
        rows["pa"][at] = RAM_BASE + cells
        rows["writer"][at] = 0 if is_content else who
        if is_content:
            rows["pa"][at] &= ~np.uint64(raw.LINE_BYTES - 1)
            words = rows.view(np.uint64).reshape(n, -1)[at, raw.CONTENT_AT // 8 :]
            words[:] = random.integers(0, 1 << 63, words.shape)
    return np.concatenate([marks, rows])


def stream(n: int, **values: Any) -> bytes:
    """Return a whole raw trace that ends in order."""
    header = raw.header(2, ram_base=RAM_BASE, ram_size=RAM_SIZE, midr=1, ctr=2, clidr=3)
    end = raw.Traced(op=Mark.END, seq=n + 1, pa=NO_ADDRESS, va=NO_ADDRESS, ipa=NO_ADDRESS)
    return bytes(header) + records(n, **values).tobytes() + bytes(end)


def parts(all_records: Any, size: int) -> Iterator[Any]:
    for start in range(0, len(all_records), size):
        yield all_records[start : start + size].copy()


def write(file: BinaryIO, all_records: Any, generation: int, **values: Any) -> Writer:
    """Write a complete trace of several generations."""
    writer = Writer(file, info(), Functions())
    for part in parts(all_records, generation):
        writer.add(part)
    writer.close(info(complete=True, **values))
    return writer


def trace_bytes(all_records: Any, generation: int) -> bytes:
    """Return a trace with a checkpoint after every generation."""
    memory = io.BytesIO()
    writer = Writer(memory, info(), Functions())
    for part in parts(all_records, generation):
        writer.add(part)
        writer.checkpoint()
    writer.close(info(complete=True))
    return memory.getvalue()
