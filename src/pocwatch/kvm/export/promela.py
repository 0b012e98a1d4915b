"""A concrete program as Promela, for SPIN.

One process per cell is the hardware (here), one per thread the software (`promela_threads`).
"""

from __future__ import annotations

from collections.abc import Iterator

from pocwatch.arch.ops import Op
from pocwatch.kvm.export import cases
from pocwatch.kvm.export.cases import Case
from pocwatch.kvm.export.concrete import ExportError, Program
from pocwatch.kvm.export.promela_threads import block, process
from pocwatch.kvm.export.words import (
    assignments,
    guard,
    head,
    name_of_event,
    name_of_op,
    name_of_value,
    variables,
)
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.model import Copy
from pocwatch.platforms import Platform

VERIFY = "spin -a FILE && gcc -O2 -DSAFETY -o pan pan.c && ./pan -E -m10000000"
MAX_PROCESSES = 250  # SPIN has at most 255


def promela(program: Program) -> str:
    """Return the model. Raises ExportError where SPIN has no room for it."""
    cells = program.lines * len(program.cells)
    if not cells:
        raise ExportError(f"{program.name}: no read is judged, so there is nothing to check")
    if cells + len(program.threads) > MAX_PROCESSES:
        raise ExportError(
            f"{program.name}: {cells} cells and {len(program.threads)} threads: SPIN has room for "
            f"{MAX_PROCESSES} processes"
        )
    parts = [
        "\n".join(["/*", *(f" * {line}".rstrip() for line in head(program, VERIFY)), " */"]),
        "\n".join(_declarations(program, cells)),
        *(_effect(program.platform, event) for event in program.events),
        *(text for pe in program.maintainers for text in _queue(program, pe)),
        "\n".join(_hardware(program)),
        *("\n".join(process(program, thread)) for thread in program.threads),
        "\n".join(_init(program, cells)),
    ]
    return "\n\n".join(parts) + "\n"


def _declarations(program: Program, cells: int) -> Iterator[str]:
    for number, value in enumerate(Copy):
        yield f"#define {name_of_value(value)} {number}"
    yield f"#define {name_of_value(True)} 0"
    yield f"#define {name_of_value(False)} 1"
    ops = program.operations
    for number, op in enumerate(ops):
        yield f"#define {name_of_op(op)} {number + 1}"
    if ops:
        yield f"#define ORDERED {len(ops)}  /* added to what a DMB came after */"
    yield ""
    yield "typedef Cell {"
    *levels, memory = variables(program.platform)
    yield from (f"  unsigned {level} : 3;" for level in levels)
    yield f"  bit {memory};"
    for pe in program.maintainers:
        yield f"  byte queue_p{pe}[{program.queue_length(pe)}];"
    for pe in program.remembering:
        yield f"  bit uncached_store_p{pe};"
    yield "};"
    yield f"Cell cell[{cells}];  /* line by line: cells {', '.join(map(str, program.cells))} of each */"
    if program.flags:
        yield f"bit flag[{program.flags}];"
    if program.fills_may_stop:
        yield f"bit mmu_off[{program.pes_that_count}];"
        off = " && ".join(f"mmu_off[{pe}]" for pe in range(program.pes_that_count))
        yield f"#define FILL (!({off}))"


def _case(case: Case, platform: Platform, cell: str, otherwise: str) -> str:
    condition = guard(case, platform, cell, ands=" && ", ors=" || ", differs="!=", equals="==")
    changes = assignments(case, platform, lambda name, value: f"{cell}.{name} = {value}")
    return f"{condition or 'true'} -> {'; '.join(changes) or otherwise}"


def _effect(platform: Platform, event: Event) -> str:
    """An inline with one option per case; where several hold, each may happen."""
    options = [
        f"  :: {_case(case, platform, 'cell[i]', 'skip')}"
        for outcome in cases.outcomes(platform, event)
        for case in outcome
    ]
    return "\n".join([f"inline {name_of_event(event)}(i) {{", "  if", *options, "  fi", "}"])


def _queue(program: Program, pe: int) -> Iterator[str]:
    queue, length = f"cell[i].queue_p{pe}", program.queue_length(pe)
    options = [
        f"  :: {queue}[{n}] == 0{f' && {queue}[{n - 1}] != 0' if n else ''} -> {queue}[{n}] = op"
        for n in range(length)
    ]
    yield "\n".join([f"inline issue_p{pe}(i, op) {{", "  if", *options, "  fi", "}"])
    shifts = [f"{queue}[{n}] = {queue}[{n + 1}]" for n in range(length - 1)]
    yield f"inline done_p{pe}(i) {{ {'; '.join([*shifts, f'{queue}[{length - 1}] = 0'])} }}"
    if any(i.step.op is Op.DMB and i.step.agent == pe for i in program.accesses):
        options = [
            f"  if :: {queue}[{n}] != 0 && {queue}[{n}] <= ORDERED -> "
            f"{queue}[{n}] = {queue}[{n}] + ORDERED :: else fi{';' if n + 1 < length else ''}"
            for n in range(length)
        ]
        yield "\n".join([f"inline order_p{pe}(i) {{", *options, "}"])


def _hardware(program: Program) -> Iterator[str]:
    platform = program.platform
    yield "proctype hardware(byte i) {"
    yield "end:"
    yield "  do"
    for name, moves in cases.silent(platform, fill=True).items():
        fill = "FILL && " if name.startswith("fill") and program.fills_may_stop else ""
        for case in moves:
            yield f"  :: d_step {{ {fill}{_case(case, platform, 'cell[i]', 'skip')} }}  /* {name} */"
    for pe in program.maintainers:
        first = f"cell[i].queue_p{pe}[0]"
        for op in program.operations:
            ready = f"{first} == {name_of_op(op)} || {first} == {name_of_op(op)} + ORDERED"
            event = MAINTENANCE_EVENT[op]
            keyword = block(platform, [event])
            yield f"  :: {keyword} {{ {ready} -> done_p{pe}(i); {name_of_event(event)}(i) }}"
    yield "  od"
    yield "}"


def _init(program: Program, cells: int) -> Iterator[str]:
    yield "init {"
    yield "  atomic {"
    yield from (f"    run hardware({n});" for n in range(cells))
    yield from (f"    run {thread.name}_thread();" for thread in program.threads)
    yield "  }"
    yield "}"


