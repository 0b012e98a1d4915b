"""All interleavings of a program over the literal model, one set of configurations per cell.

Shares nothing with the export but the program itself: `line.step_cell` on `model.Cell`, thread by thread.
"""

from __future__ import annotations

from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.kvm.export.concrete import Do, Program, Set, Wait
from pocwatch.line.line import read_kind, step_cell
from pocwatch.line.model import Cell

EVERYWHERE = (Op.DMB, Op.DSB, Op.MMU_ON, Op.MMU_OFF)


def may_be_stale(program: Program) -> bool:
    """Whether some interleaving has a judged read that some configuration makes stale."""
    offsets = {
        (i.line, i.step.offset // 8)
        for thread in program.threads
        for i in thread.instructions
        if isinstance(i, Do) and i.judged
    }
    fresh = Cell.initial(program.platform, program.pes)
    start = ((0,) * len(program.threads), frozenset[int](), dict.fromkeys(offsets, fresh))
    todo: list[Any] = [start]
    seen = set()
    while todo:
        at, flags, cells = todo.pop()
        key = (at, flags, frozenset(cells.items()))
        if key in seen:
            continue
        seen.add(key)
        for number, thread in enumerate(program.threads):
            if at[number] == len(thread.instructions):
                continue
            i = thread.instructions[at[number]]
            after_flags, after = flags, cells
            if isinstance(i, Wait):
                if i.flag not in flags:
                    continue
            elif isinstance(i, Set):
                after_flags = flags | {i.flag}
            else:
                assert isinstance(i, Do)
                if i.judged and read_is_stale(cells[i.line, i.step.offset // 8], i):
                    return True
                after = {
                    (line, index): step_cell(cell, i.step, own=index == i.step.offset // 8)
                    if line == i.line or i.step.op in EVERYWHERE
                    else cell
                    for (line, index), cell in cells.items()
                }
            moved = (*at[:number], at[number] + 1, *at[number + 1 :])
            todo.append((moved, after_flags, after))
    return False


def read_is_stale(cell: Cell, i: Do) -> bool:
    kind = read_kind(i.step)
    return (cell.load(i.step.agent, kind) if i.step.op is Op.LD else cell).reads(kind)
