"""Whose data every copy holds along one behaviour: the number of the write that it came from.

`behaviour` says latest or stale, as the model does; this follows the data itself through the same
moves, so that a story can say what a stale read gets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    Kind,
    Op,
)
from pocwatch.line import model
from pocwatch.line.behaviour import By, Move
from pocwatch.line.line import CELL_BYTES, read_kind
from pocwatch.line.model import Caches, Copy
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

BEFORE = 0  # the number of what was there before anything happened


@dataclass(frozen=True, slots=True)
class Data:
    """Which write's data each level (None: no copy), memory and the fetching PE's I-cache hold."""

    levels: tuple[int | None, ...]
    memory: int = BEFORE
    icache: int | None = None

    def view(self, level: int) -> int:
        """Return whose data a reader entering at `level` gets."""
        return next((d for d in self.levels[level:] if d is not None), self.memory)

    def with_level(self, level: int, data: int | None) -> Data:
        return replace(self, levels=(*self.levels[:level], data, *self.levels[level + 1 :]))

    def pushed(self, level: int) -> Data:
        """Return the data after the copy of a level was written to the next one, or to memory."""
        data = self.levels[level]
        assert data is not None
        if level + 1 < len(self.levels):
            return self.with_level(level + 1, data)
        return replace(self, memory=data)


def at_start(platform: Platform) -> Data:
    """Return what is where before anything happened."""
    return Data((None,) * len(platform.levels))


def writes(step: Step | None, read: Step) -> bool:
    """Return whether a step writes the cell that is read."""
    if step is None or step.op not in (Op.ST, Op.DC_ZVA, Op.DMA_WR):
        return False
    return step.op is Op.DC_ZVA or step.offset // CELL_BYTES == read.offset // CELL_BYTES


def after(
    platform: Platform, data: Data, move: Move, step: Step | None, read: Step, number: int
) -> Data:
    """Return the data after a move; `number` is that of the write, if the step is one."""
    if move.by is By.HARDWARE:
        data = _moved(platform, data, move, read)
    elif move.by is By.OPERATION or move.op in OUTER_MAINTENANCE:
        data = _maintained(platform, data, move)
    elif writes(step, read):
        assert step is not None
        data = _written(data, move.after.caches, step, number)
    elif step is not None and step.op is Op.ST and read_kind(step) is Kind.WB:
        data = data.with_level(0, data.view(0))
    elif step is not None and step.op is Op.IF and data.icache is None:
        kind = read_kind(step)
        data = replace(data, icache=data.view(platform.pou) if kind is Kind.WB else data.memory)
    else:
        data = _filled(data, move.after.caches)
    return _without_absent(data, move)


def read_by(platform: Platform, data: Data, read: Step) -> int:
    """Return whose data a read gets."""
    if read.op is Op.IF and data.icache is not None:
        return data.icache
    if read_kind(read) is not Kind.WB:
        return data.memory
    return data.view(platform.pou if read.op is Op.IF else 0)


def _moved(platform: Platform, data: Data, move: Move, read: Step) -> Data:
    if move.act == "fetch ahead":
        cached = read_kind(read) is Kind.WB
        return replace(data, icache=data.view(platform.pou) if cached else data.memory)
    if move.act == "drop instruction":
        return data
    level = int(move.act.split()[-1])
    if move.act.startswith("fill"):
        return data.with_level(level, data.view(level + 1))
    return data if move.act.startswith("drop") else data.pushed(level)


def _maintained(platform: Platform, data: Data, move: Move) -> Data:
    assert move.op is not None
    if move.op in INSTRUCTION_MAINTENANCE:
        return data
    before, now = move.before.caches, move.after.caches
    levels = model.maintained_levels(platform, move.op)
    known = DATA_MAINTENANCE.get(move.op)
    cleans = known.clean if known else move.op is not Op.OUTER_INV
    if now == before or (not cleans and now == model.invalidate(before, levels)):
        return data
    caches = before
    for level in sorted(levels):
        if caches.levels[level].dirty:
            data, caches = data.pushed(level), model.push_down(caches, level)
    return data


def _written(data: Data, now: Caches, step: Step, number: int) -> Data:
    kind = Kind.WB if step.op is Op.DC_ZVA else read_kind(step)
    if step.op is Op.DMA_WR and step.coherent:
        if now.memory_latest:
            return replace(data, memory=number)
        return data.with_level(len(data.levels) - 1, number)
    if kind is Kind.WB:
        return data.with_level(0, number)
    if kind is Kind.WT:
        levels = tuple(
            number if held.latest else old
            for held, old in zip(now.levels, data.levels, strict=True)
        )
        data = replace(data, levels=levels)
    return replace(data, memory=number)


def _filled(data: Data, now: Caches) -> Data:
    for level in reversed(range(len(data.levels))):
        if now.levels[level] is not Copy.ABSENT and data.levels[level] is None:
            data = data.with_level(level, data.view(level + 1))
    return data


def _without_absent(data: Data, move: Move) -> Data:
    held = zip(move.after.caches.levels, data.levels, strict=True)
    levels = tuple(None if copy is Copy.ABSENT else old for copy, old in held)
    icache = None if move.after.icache is Copy.ABSENT else data.icache
    return replace(data, levels=levels, icache=icache)
