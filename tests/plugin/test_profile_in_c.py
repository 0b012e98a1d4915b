"""The plugin's counts of maintenance, and the file that they are written to."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge import RAM_BASE, Judge

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.line.word import parse
from pocwatch.trace import profile
from pocwatch.trace.records import NO_ADDRESS


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


class Machine:
    """A judge that profiles; its PEs' stacks are told, as in a replay."""

    def __init__(self, plugin: ctypes.CDLL, folder: Path) -> None:
        self.plugin = plugin
        self.path = folder / "profile"
        plugin.pw_profile_close.restype = ctypes.c_bool
        plugin.pw_stacks_open(16)
        plugin.pw_profile_open(bytes(self.path))
        self.judge = Judge(plugin, folder, platforms.load("xgene-l3"), 64, pes=2)

    def stack(self, pc: int, caller: int = 0) -> int:
        frame = Frame(pc, NO_ADDRESS, NO_ADDRESS, caller, el=1)
        number: int = self.plugin.pw_stack_intern(ctypes.byref(frame))
        return number

    def do(self, word: str, *, stack: int = 0, line: int = 0) -> None:
        for step in parse(word):
            self.plugin.pw_stack_is(step.agent, stack)
            self.judge._do(step, RAM_BASE + 64 * line)

    def counts(self) -> profile.Counts:
        assert self.plugin.pw_profile_close()
        found = profile.read(self.path)
        assert found is not None
        return found


@pytest.fixture
def machine(plugin: ctypes.CDLL, tmp_path: Path) -> Iterator[Machine]:
    yield Machine(plugin, tmp_path)
    plugin.pw_profile_close()
    plugin.pw_stacks_open(0)


def told(counts: profile.Counts) -> list[tuple[int, Op, int, int, int, int, int]]:
    return [
        (e.stack, Op(e.op), e.count, e.judged, e.redundant, e.dirty, e.lines)
        for e in counts.entries
    ]


def test_by_operation_and_stack(machine: Machine) -> None:
    outer = machine.stack(0x1000)
    first, second = machine.stack(0x2000, outer), machine.stack(0x2000)
    for line in range(3):
        machine.do("P0 st wb", line=line)
        machine.do("P0 dc civac", stack=first, line=line)
        machine.do("P0 dsb")
        machine.do("P0 dc civac", stack=second, line=line)
        machine.do("P0 dsb")
    machine.do("P0 dc civac; P0 dsb; P0 dc cvau", stack=first)
    counts = machine.counts()
    assert told(counts) == [
        (first, Op.DC_CIVAC, 4, 4, 1, 3, 3),
        (second, Op.DC_CIVAC, 3, 3, 3, 0, 3),
        (first, Op.DC_CVAU, 1, 1, 1, 0, 1),
    ]
    assert [(f.pc, f.caller) for f in counts.frames] == [(0x1000, 0), (0x2000, outer), (0x2000, 0)]


def test_an_operation_behind_one_that_is_in_flight_is_not_redundant(machine: Machine) -> None:
    machine.do("P0 st wb; P0 dc civac; P0 dc civac", stack=machine.stack(0x1000))
    assert told(machine.counts()) == [(1, Op.DC_CIVAC, 2, 2, 0, 2, 1)]


@pytest.mark.parametrize(
    ("clean", "redundant"),
    [
        ("P0 dc cvac; P0 dsb", 1),  # the second
        ("P0 dc cvau; P0 dsb", 1),  # likewise: what is not cacheable is stale before and after
        ("", 2),  # too early: I-caches are filled with the old instructions again
    ],
)
def test_the_instruction_side(machine: Machine, clean: str, redundant: int) -> None:
    at = machine.stack(0x1000)
    machine.do(f"P0 st wb; {clean}")
    machine.do("P0 ic ivau; P0 dsb; P0 ic ivau; P0 dsb", stack=at)
    entries = [e for e in told(machine.counts()) if e[1] is Op.IC_IVAU]
    assert entries == [(at, Op.IC_IVAU, 2, 2, redundant, 0, 1)]


def test_what_is_of_no_line_is_not_judged(machine: Machine) -> None:
    machine.do("P0 dc cisw; P0 ic iallu; P0 ic ialluis", stack=machine.stack(0x1000))
    assert [e[1:] for e in told(machine.counts())] == [
        (op, 1, 0, 0, 0, 0) for op in (Op.DC_CISW, Op.IC_IALLU, Op.IC_IALLUIS)
    ]


def test_many_call_sites(machine: Machine) -> None:
    """More than there is room for at first, and each line counted by each of them."""
    stacks = [machine.stack(4 * i) for i in range(1000)]
    for i, stack in enumerate(stacks):
        for line in range(5):
            machine.do("P0 dc cvac", stack=stack, line=(i + line) % 60)
    machine.do("P0 dc cvac", stack=stacks[7], line=8)
    found = {e[0]: e[2:] for e in told(machine.counts())}
    assert found == {s: (6 if s == stacks[7] else 5,) * 3 + (0, 5) for s in stacks}


def test_a_file_that_cannot_be_written(machine: Machine, tmp_path: Path) -> None:
    machine.plugin.pw_profile_open(bytes(tmp_path / "none" / "profile"))
    assert not machine.plugin.pw_profile_close()


@pytest.mark.parametrize("damage", ["cut", "long", "other", "empty", "none"])
def test_a_file_that_is_not_whole(machine: Machine, damage: str) -> None:
    machine.do("P0 dc cvac", stack=machine.stack(0x1000))
    machine.counts()
    data = machine.path.read_bytes()
    machine.path.write_bytes(
        {"cut": data[:-1], "long": data + b"\0", "other": b"X" + data[1:]}.get(damage, b"")
    )
    if damage == "none":
        machine.path.unlink()
    assert profile.read(machine.path) is None
