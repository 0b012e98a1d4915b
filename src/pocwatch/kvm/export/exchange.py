"""Two lines that are alike: what begins with one of them need not be checked again for the other."""

from __future__ import annotations

from dataclasses import replace

from pocwatch.kvm.export.concrete import Do, Instruction, names_a_line
from pocwatch.kvm.export.graph import Arc, smallest

Arcs = tuple[Arc[Instruction], ...]
Rows = dict[int, dict[Instruction | None, int]]


def first_touched_first(arcs: Arcs) -> Arcs:
    """Return a graph in which line 0 is touched first, if lines 0 and 1 are alike; the graph if not.

    All lines begin at rest. So if exchanging the lines' names leaves the runs as they are, each run that
    touches line 1 first has a twin that touches line 0 first, with the same verdict.
    """
    rows = _rows(arcs)
    if rows is None or not _are_alike(rows):
        return arcs
    start = [replace(a, to=a.to + 1) for a in arcs if a.at == 0 and _line(a.does) != 1]
    rest = [replace(a, at=a.at + 1, to=a.to + 1) for a in arcs]
    return smallest([*start, *rest])


def _rows(arcs: Arcs) -> Rows | None:
    """Return where each instruction leads from each place; None if it may lead to several."""
    rows: Rows = {}
    for arc in arcs:
        if rows.setdefault(arc.at, {}).setdefault(arc.does, arc.to) != arc.to:
            return None
    return rows


def _line(does: Instruction | None) -> int | None:
    return does.line if isinstance(does, Do) and names_a_line(does.step) else None


def _exchanged(does: Instruction | None) -> Instruction | None:
    if isinstance(does, Do) and names_a_line(does.step):
        return replace(does, line=1 - does.line)
    return does


def _are_alike(rows: Rows) -> bool:
    """Return whether the runs from the start are the same with the lines' names exchanged."""
    twin = {0: 0}
    for at in (todo := [0]):  # grows while it is walked
        here, there = rows.get(at, {}), rows.get(twin[at], {})
        if len(here) != len(there):
            return False
        for does, to in here.items():
            other = there.get(_exchanged(does))
            if other is None or twin.get(to, other) != other:
                return False
            if to not in twin:
                twin[to] = other
                todo.append(to)
    return True
