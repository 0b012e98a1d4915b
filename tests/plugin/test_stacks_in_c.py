"""Stacks as numbers, and those of accesses and maintenance in findings."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge import RAM_BASE, Judge

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.line.word import parse
from pocwatch.trace import records
from pocwatch.trace.records import NO_ADDRESS

FRAMES = 64


class Frame(ctypes.Structure):
    """`struct pw_frame`."""

    _fields_ = (
        ("pc", ctypes.c_uint64),
        ("pc_pa", ctypes.c_uint64),
        ("pc_ipa", ctypes.c_uint64),
        ("caller", ctypes.c_uint32),
        ("el", ctypes.c_uint8),
        ("link", ctypes.c_uint8),
        ("vm_id", ctypes.c_uint16),
    )


class Stacks:
    """The plugin's stacks, switched on."""

    def __init__(self, plugin: ctypes.CDLL) -> None:
        self.plugin = plugin
        plugin.pw_stack_frame.restype = ctypes.POINTER(Frame)
        plugin.pw_stacks_open(16)

    def put(self, pc: int, caller: int = 0, **fields: int) -> int:
        frame = Frame(pc, pc + 0x100, NO_ADDRESS, caller, **{"el": 1, **fields})
        number: int = self.plugin.pw_stack_intern(ctypes.byref(frame))
        return number

    def frame(self, number: int) -> Frame | None:
        found = self.plugin.pw_stack_frame(number)
        return found.contents if found else None


@pytest.fixture
def stacks(plugin: ctypes.CDLL) -> Iterator[Stacks]:
    yield Stacks(plugin)
    plugin.pw_stacks_open(0)  # other tests take none


def test_numbers_have_no_gaps_and_stand_for_frame_and_caller(stacks: Stacks) -> None:
    outer = stacks.put(0x1000)
    assert [outer, stacks.put(0x2000, outer), stacks.put(0x1000), stacks.put(0x2000)] == [1, 2, 1, 3]
    assert stacks.put(0x2000, outer, el=2) == 4
    assert stacks.put(0x2000, outer, vm_id=1) == 5
    inner = stacks.frame(2)
    assert inner is not None
    assert (inner.pc, inner.pc_pa, inner.caller, inner.el) == (0x2000, 0x2100, outer, 1)


def test_numbers_not_given(stacks: Stacks) -> None:
    stacks.put(0x1000)
    assert stacks.frame(0) is None
    assert stacks.frame(2) is None
    assert stacks.frame(0xFFFF_FFFF) is None
    stacks.plugin.pw_stacks_open(16)
    assert stacks.frame(1) is None


def test_many(stacks: Stacks) -> None:
    """More than the table has at first."""
    numbers = [stacks.put(4 * i, i % 7) for i in range(20_000)]
    assert numbers == list(range(1, 20_001))
    assert [stacks.put(4 * i, i % 7) for i in range(20_000)] == numbers


def test_threads_agree(stacks: Stacks) -> None:
    found: list[list[int]] = [[] for _ in range(4)]

    def put(mine: list[int]) -> None:
        mine += [stacks.put(8 * i) for i in range(3000)]

    threads = [threading.Thread(target=put, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[1:] == found[:1] * 3
    assert sorted(found[0]) == list(range(1, 3001))


# ------------------------------------------------------------------ in findings


class Machine:
    """A judge with a run file that has room for frames; its PEs' stacks are told, as in a replay."""

    def __init__(self, plugin: ctypes.CDLL, folder: Path, frames: int) -> None:
        self.judge = Judge(plugin, folder, platforms.load("xgene-l3"), 64, pes=2)
        self.path = folder / "run"
        header = records.RunHeader.from_buffer_copy(self.path.read_bytes())
        header.max_frames = frames
        slots = bytes(4 * ctypes.sizeof(records.Finding) + frames * ctypes.sizeof(records.Frame))
        self.path.write_bytes(bytes(header) + slots)
        self.judge.config.keep_stale = False
        error = ctypes.create_string_buffer(256)
        assert plugin.pw_judge_open(ctypes.byref(self.judge.config), error, 256), error.value
        self.judge.header = plugin.pw_run_header().contents

    def do(self, word: str, *, stack: int = 0, line: int = 0) -> None:
        for step in parse(word):
            self.judge.library.pw_stack_is(step.agent, stack)
            self.judge._do(step, RAM_BASE + 64 * line)

    def findings(self) -> list[records.Finding]:
        data, size = self.path.read_bytes(), ctypes.sizeof(records.Finding)
        start = ctypes.sizeof(records.RunHeader)
        found = range(self.judge.header.n_findings)
        return [records.Finding.from_buffer_copy(data, start + i * size) for i in found]

    def pcs(self, number: int) -> list[int]:
        data, size = self.path.read_bytes(), ctypes.sizeof(records.Frame)
        start = ctypes.sizeof(records.RunHeader) + 4 * ctypes.sizeof(records.Finding)
        pcs: list[int] = []
        while number:
            frame = records.Frame.from_buffer_copy(data, start + (number - 1) * size)
            pcs.append(frame.pc)
            number = frame.caller
        return pcs


def test_of_the_access_and_of_maintenance(stacks: Stacks, tmp_path: Path) -> None:
    outer = stacks.put(0x1000)
    stacks.put(0x9999)  # of no finding
    reader, cleaner = stacks.put(0x2000, outer), stacks.put(0x3000, outer)
    machine = Machine(stacks.plugin, tmp_path, FRAMES)
    machine.do("P0 st wb")
    machine.do("P0 dc cvau", stack=cleaner)
    machine.do("P0 dsb")
    machine.do("P1 ld nc", stack=reader)
    (finding,) = machine.findings()
    assert machine.pcs(finding.access.stack) == [0x2000, 0x1000]
    events = finding.history[: finding.n_history]
    assert [machine.pcs(e.stack) for e in events] == [[], [0x3000, 0x1000]]
    assert machine.judge.header.n_frames == 3


def test_of_the_events_that_are_kept(stacks: Stacks, tmp_path: Path) -> None:
    """A line's history grows, and then forgets the oldest: stacks stay with their events."""
    machine = Machine(stacks.plugin, tmp_path, FRAMES)
    for i in range(12):
        machine.do("P0 st wb")
        machine.do("P0 dc cvau", stack=stacks.put(0x1000 * (i + 1)))
        machine.do("P0 dsb")
    machine.do("P1 ld nc", stack=stacks.put(0x8))
    (finding,) = machine.findings()
    events = finding.history[: finding.n_history]
    assert finding.truncated
    kept = [machine.pcs(e.stack) for e in events if e.stack]
    assert kept == [[0x1000 * (i + 1)] for i in range(12 - len(kept), 12)]
    assert len(kept) >= 3
    assert {Op(e.op) for e in events if not e.stack} <= {Op.ST}


def test_a_full_run_file(stacks: Stacks, tmp_path: Path) -> None:
    """What finds no room is left out: the outermost frames are there first."""
    outer = stacks.put(0x1000)
    machine = Machine(stacks.plugin, tmp_path, 1)
    machine.do("P0 st wb; P1 ld nc", stack=stacks.put(0x2000, outer))
    machine.do("P0 st wb; P1 ld dev", stack=outer, line=1)
    first, second = machine.findings()
    assert (first.access.stack, machine.pcs(second.access.stack)) == (0, [0x1000])


def test_none_when_off(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    plugin.pw_stacks_open(0)
    machine = Machine(plugin, tmp_path, FRAMES)
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P1 ld nc")
    (finding,) = machine.findings()
    assert finding.access.stack == 0
    assert all(e.stack == 0 for e in finding.history)
