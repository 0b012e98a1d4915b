"""pocwatch: the same question over the line table, by line and whole, and over concrete caches."""

from __future__ import annotations

import functools
import time
from typing import Any

from measured import Limits, Measured, Said

from pocwatch.check.result import Checked, Ended, Verdict
from pocwatch.check.search import Symmetry, check
from pocwatch.kvm.export.concrete import Program
from pocwatch.kvm.export.question import Order, question
from pocwatch.kvm.export.semantics import System
from pocwatch.kvm.export.stepwise import Stepwise
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform

BY_LINE = "by line"
WHOLE = "whole"
WHOLE_ANY = "whole, any order"
WHOLE_SYMMETRIC = "whole, any order, symmetric lines"
CONCRETE = "concrete caches, whole"
MODES = (BY_LINE, WHOLE, WHOLE_ANY, WHOLE_SYMMETRIC, CONCRETE)


def _system(program: Program) -> System[PendingCell]:
    cell = PendingCell.initial(automaton_of(program.platform))
    return System(program, cell, functools.cache(step_cell))


def _search(model: Any, symmetry: Symmetry, limits: Limits, start: float) -> Checked[Any, Any]:
    left = max(limits.seconds - (time.perf_counter() - start), 0.001)
    # a state of the whole takes a few kB in Python
    most = limits.memory_mib * 2**20 // 4096
    return check(model, symmetry=symmetry, max_seconds=left, max_states=most)


_SAID = {Verdict.HOLDS: Said.PROVED, Verdict.VIOLATED: Said.STALE, Verdict.UNKNOWN: Said.TIME}


def verify(
    platform: Platform, lines: int, clean: str | None, mode: str, limits: Limits
) -> Measured:
    """Answer the question for some lines. Building is computing the table."""
    begin = time.perf_counter()
    automaton_of(platform)
    start = time.perf_counter()
    order = Order.ANY if mode in (WHOLE_ANY, WHOLE_SYMMETRIC) else Order.ASCENDING
    program = question(platform, lines, clean=clean, order=order)
    symmetry = Symmetry.USED if mode == WHOLE_SYMMETRIC else Symmetry.IGNORED
    models: list[Any]
    if mode == CONCRETE:
        models = [Stepwise(program)]
    elif mode == BY_LINE:
        models = [_system(program.of_line(line)) for line in range(lines)]
    else:
        models = [_system(program)]
    states, said, trace = 0, Said.PROVED, None
    for model in models:
        checked = _search(model, symmetry, limits, start)
        states += checked.states
        said = Said.MEMORY if checked.ended is Ended.MAX_STATES else _SAID[checked.verdict]
        trace = None if checked.trace is None else len(checked.trace)
        if said is not Said.PROVED:
            break
    seconds = time.perf_counter() - start
    return Measured("pocwatch", mode, lines, said, states, start - begin, seconds, trace)
