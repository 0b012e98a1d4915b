"""A concrete program as Murphi, for rumur (and other Murphi checkers).

Every rule is one atomic move of the hardware (here) or of a thread (`murphi_threads`). Where no
instruction names a line the lines are a scalarset, which lets the checker keep one state for all
exchanges of lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from pocwatch.arch.ops import Op
from pocwatch.kvm.export import cases
from pocwatch.kvm.export.concrete import Each, ExportError, Program
from pocwatch.kvm.export.murphi_threads import case_guard, rule
from pocwatch.kvm.export.words import (
    assignments,
    head,
    name_of_event,
    name_of_op,
    name_of_value,
    variables,
)
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.model import Copy
from pocwatch.platforms import Platform

VERIFY = (
    "rumur FILE --deadlock-detection off --output model.c && "
    "cc -std=c11 -O3 -mcx16 -pthread -o model model.c && ./model"
)


def murphi(program: Program) -> str:
    """Return the model. Raises ExportError if there is nothing to check."""
    if not program.cells:
        raise ExportError(f"{program.name}: no read is judged, so there is nothing to check")
    parts = [
        "\n".join(f"-- {line}".rstrip() for line in head(program, VERIFY)),
        "\n".join(_declarations(program)),
        *("\n".join(_effect(program.platform, event)) for event in program.events),
        *("\n".join(_queue(program, pe)) for pe in program.maintainers),
        "\n".join(_start(program)),
        "\n".join(_hardware(program)),
        *("\n".join(rule(program, thread, arc)) for thread in program.threads for arc in thread.arcs),
    ]
    return "\n\n".join(parts) + "\n"


def _declarations(program: Program) -> Iterator[str]:
    copies = ", ".join(name_of_value(value) for value in Copy)
    ops = ["NONE", *(name_of_op(op) for op in program.operations)]
    yield "type"
    yield f"  Line: {_lines(program)};"
    yield f"  Place: 0..{len(program.cells) - 1};  -- cells {', '.join(map(str, program.cells))}"
    yield f"  Copy: enum {{{copies}}};"
    yield f"  Memory: enum {{{name_of_value(True)}, {name_of_value(False)}}};"
    yield f"  Op: enum {{{', '.join(ops)}}};"
    yield "  Pending: record op: Op; ordered: boolean; end;"
    yield "  Cell: record"
    *levels, memory = variables(program.platform)
    yield from (f"    {level}: Copy;" for level in levels)
    yield f"    {memory}: Memory;"
    for pe in program.maintainers:
        yield f"    queue_p{pe}: array[0..{program.queue_length(pe) - 1}] of Pending;"
    for pe in program.remembering:
        yield f"    uncached_store_p{pe}: boolean;"
    yield "  end;"
    yield "var"
    yield "  cell: array[Line] of array[Place] of Cell;"
    if program.flags:
        yield f"  flag: array[0..{program.flags - 1}] of boolean;"
    if program.fills_may_stop:
        yield f"  mmu_off: array[0..{program.pes_that_count - 1}] of boolean;"
    for thread in program.threads:
        yield f"  at_{thread.name}: 0..{thread.places - 1};"
        if any(isinstance(i, Each) for i in thread.instructions):
            yield f"  did_{thread.name}: array[Line] of boolean;"


def _lines(program: Program) -> str:
    return f"scalarset({program.lines})" if program.symmetric else f"0..{program.lines - 1}"


def _effect(platform: Platform, event: Event) -> Iterator[str]:
    """A procedure, with the number of the outcome where there are several; a function: is there one?"""
    name, found = name_of_event(event), cases.outcomes(platform, event)
    last = len(found) - 1
    wanted = f"; outcome: 0..{last}" if last else ""
    yield f"procedure {name}(var c: Cell{wanted});"
    yield "begin"
    word = "if"
    for number, outcome in enumerate(found):
        for case in outcome:
            which = f"outcome = {number} & " if last else ""
            changes = assignments(case, platform, lambda name, value: f"c.{name} := {value};")
            yield f"  {word} {which}{case_guard(case, platform)} then {' '.join(changes)}"
            word = "elsif"
    yield "  end;"
    yield "end;"
    if last:
        yield ""
        yield f"function {name}_has(c: Cell; outcome: 0..{last}): boolean;"
        yield "begin"
        for number, outcome in enumerate(found[1:], 1):
            possible = " | ".join(f"({case_guard(case, platform)})" for case in outcome)
            yield f"  if outcome = {number} then return {possible}; end;"
        yield "  return true;"
        yield "end;"


def _queue(program: Program, pe: int) -> Iterator[str]:
    queue, last = f"c.queue_p{pe}", program.queue_length(pe) - 1
    yield f"procedure issue_p{pe}(var c: Cell; op: Op);"
    yield "begin"
    for n in range(last + 1):
        yield f"  {'els' if n else ''}if {queue}[{n}].op = NONE then {queue}[{n}].op := op;"
    yield "  end;"
    yield "end;"
    yield ""
    yield f"procedure done_p{pe}(var c: Cell);"
    yield "begin"
    yield from (f"  {queue}[{n}] := {queue}[{n + 1}];" for n in range(last))
    yield f"  {queue}[{last}].op := NONE;"
    yield f"  {queue}[{last}].ordered := false;"
    yield "end;"
    if not any(i.step.op is Op.DMB and i.step.agent == pe for i in program.accesses):
        return
    yield ""
    yield f"procedure order_p{pe}(var c: Cell);"
    yield "begin"
    yield f"  for n := 0 to {last} do"
    yield f"    if {queue}[n].op != NONE then {queue}[n].ordered := true; end;"
    yield "  end;"
    yield "end;"


def _start(program: Program) -> Iterator[str]:
    *levels, memory = variables(program.platform)
    yield "startstate"
    yield "begin"
    yield "  for l: Line do for p: Place do"
    yield from (f"    cell[l][p].{level} := {name_of_value(Copy.ABSENT)};" for level in levels)
    yield f"    cell[l][p].{memory} := {name_of_value(True)};"
    for pe in program.maintainers:
        for n in range(program.queue_length(pe)):
            yield f"    cell[l][p].queue_p{pe}[{n}].op := NONE;"
            yield f"    cell[l][p].queue_p{pe}[{n}].ordered := false;"
    yield from (f"    cell[l][p].uncached_store_p{pe} := false;" for pe in program.remembering)
    yield "  end; end;"
    yield from (f"  flag[{n}] := false;" for n in range(program.flags))
    if program.fills_may_stop:
        yield from (f"  mmu_off[{pe}] := false;" for pe in range(program.pes_that_count))
    for thread in program.threads:
        yield f"  at_{thread.name} := 0;"
        if any(isinstance(i, Each) for i in thread.instructions):
            yield f"  for l: Line do did_{thread.name}[l] := false; end;"
    yield "end;"


def _hardware(program: Program) -> Iterator[str]:
    platform = program.platform
    yield "ruleset l: Line; p: Place do alias c: cell[l][p] do"
    for name, moves in cases.silent(platform, fill=True).items():
        limited = name.startswith("fill") and program.fills_may_stop
        fill = f"!({_all_off(program)}) & " if limited else ""
        for number, case in enumerate(moves):
            title = name if len(moves) == 1 else f"{name}, case {number}"
            changes = assignments(case, platform, lambda name, value: f"c.{name} := {value};")
            yield f'  rule "{title}" {fill}{case_guard(case, platform)} ==>'
            yield f"  begin {' '.join(changes)} end;"
    for pe in program.maintainers:
        for op in program.operations:
            event = MAINTENANCE_EVENT[op]
            last = len(cases.outcomes(platform, event)) - 1
            name = name_of_event(event)
            ready = f"c.queue_p{pe}[0].op = {name_of_op(op)}"
            if last:
                yield f"  ruleset outcome: 0..{last} do"
                ready += f" & {name}_has(c, outcome)"
            yield f'  rule "P{pe}\'s {op.spelling} takes effect" {ready} ==>'
            yield f"  begin done_p{pe}(c); {name}(c{', outcome' if last else ''}); end;"
            if last:
                yield "  end;"
    yield "end; end;"


def _all_off(program: Program) -> str:
    return " & ".join(f"mmu_off[{pe}]" for pe in range(program.pes_that_count))
