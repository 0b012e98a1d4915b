"""A concrete program as Promela, for SPIN.

One process per cell is the hardware, one per thread the software. Verify with
`spin -a model.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m10000000`; a failed assertion is a read
that may be stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pocwatch.arch.ops import Op
from pocwatch.kvm.export import cases
from pocwatch.kvm.export.cases import Case
from pocwatch.kvm.export.concrete import (
    SWITCHES,
    Do,
    Each,
    ExportError,
    Instruction,
    Program,
    Set,
    Wait,
    Waits,
    cell_of,
    meaning,
    names_a_line,
)
from pocwatch.kvm.export.words import (
    assignments,
    comment,
    guard,
    head,
    name_of_event,
    name_of_op,
    name_of_value,
    variables,
)
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.line import read_kind
from pocwatch.line.model import Copy
from pocwatch.platforms import Platform

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
        "\n".join(["/*", *(f" * {line}" for line in head(program)), " */"]),
        "\n".join(_declarations(program, cells)),
        *(_effect(program.platform, event) for event in program.events),
        *(text for pe in program.maintainers for text in _queue(program, pe)),
        "\n".join(_hardware(program)),
        *("\n".join(_thread(program, number)) for number in range(len(program.threads))),
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
            block = _block(platform, [event])
            yield f"  :: {block} {{ {ready} -> done_p{pe}(i); {name_of_event(event)}(i) }}"
    yield "  od"
    yield "}"


def _thread(program: Program, number: int) -> Iterator[str]:
    thread = program.threads[number]
    yield f"proctype {thread.name}_thread() {{"
    if any(isinstance(i, Each) for i in thread.instructions):
        yield f"  bit did[{program.lines}];"
    for instruction in thread.instructions:
        yield f"  /* {comment(instruction)} */"
        yield from _instruction(program, instruction)
    yield "}"


def _instruction(program: Program, i: Instruction) -> Iterator[str]:
    if isinstance(i, Wait):
        yield f"  flag[{i.flag}];"
    elif isinstance(i, Set):
        yield f"  flag[{i.flag}] = 1;"
    elif isinstance(i, Each):
        yield "  do"
        for line in range(program.lines):
            body = [f"did[{line}] = 1", *_on_line(program, i, line)]
            ready = _conjunction([f"!did[{line}]", *_waits(program, i, line)])
            yield f"  :: {_block_of(program, i)} {{ {ready} -> {'; '.join(body)} }}"
        everywhere = _conjunction(f"did[{line}]" for line in range(program.lines))
        reset = "; ".join(f"did[{line}] = 0" for line in range(program.lines))
        yield f"  :: d_step {{ {everywhere} -> {reset} }}; break"
        yield "  od;"
    elif names_a_line(i.step):
        waits, body = _waits(program, i, i.line), _on_line(program, i, i.line)
        yield from _statement(_block_of(program, i), waits, body)
    elif i.step.op in SWITCHES:
        off = int(i.step.op is Op.MMU_OFF)
        counts = program.fills_may_stop and i.step.agent < program.pes_that_count
        yield f"  mmu_off[{i.step.agent}] = {off};" if counts else "  skip;"
    else:
        yield from _barrier(program, i)


def _block(platform: Platform, events: Iterable[Event]) -> str:
    """Return the keyword for one move: `d_step` costs no states in between, but takes no choices."""
    certain = all(len(cases.outcomes(platform, event)) == 1 for event in events)
    return "d_step" if certain else "atomic"


def _block_of(program: Program, i: Do | Each) -> str:
    does = meaning(i.step)
    if does.issues is not None and i.step.agent in program.remembering:
        return "atomic"
    events = (event for event in (does.own, does.others) if event is not None)
    return _block(program.platform, events)


def _statement(block: str, waits: list[str], body: list[str]) -> Iterator[str]:
    ready = f"{_conjunction(waits)} -> " if waits else ""
    yield f"  {block} {{ {ready}{'; '.join(body) or 'skip'} }};"


def _conjunction(parts: Iterable[str]) -> str:
    return " && ".join(parts)


def _indices(program: Program, line: int) -> range:
    count = len(program.cells)
    return range(line * count, (line + 1) * count)


def _waits(program: Program, i: Do | Each, line: int) -> list[str]:
    waits, pe = meaning(i.step).waits, i.step.agent
    if waits is Waits.NOT or pe not in program.maintainers:
        return []
    limit = "== 0" if waits is Waits.FOR_ALL else "<= ORDERED"
    return [f"cell[{n}].queue_p{pe}[0] {limit}" for n in _indices(program, line)]


def _on_line(program: Program, i: Do | Each, line: int) -> list[str]:
    does, pe = meaning(i.step), i.step.agent
    body: list[str] = []
    for index, n in zip(program.cells, _indices(program, line), strict=True):
        own = index == cell_of(i.step)
        if i.judged and own:
            body.append(f"assert({_fresh(program.platform, i, f'cell[{n}]')})")
        if does.uncached_store and pe in program.remembering:
            body.append(f"cell[{n}].uncached_store_p{pe} = 1")
        event = does.own if own else does.others
        if event is not None:
            body.append(f"{name_of_event(event)}({n})")
        if does.issues is not None:
            issue = f"issue_p{pe}({n}, {name_of_op(does.issues)})"
            if pe in program.remembering:
                issue = f"if :: {issue} :: cell[{n}].uncached_store_p{pe} -> skip fi"
            body.append(issue)
    return body


def _fresh(platform: Platform, i: Do | Each, cell: str) -> str:
    conditions = [
        guard(case, platform, cell, ands=" && ", ors=" || ", differs="!=", equals="==")
        for case in cases.fresh(platform, read_kind(i.step))
    ]
    return " || ".join(f"({c})" for c in conditions) if len(conditions) > 1 else conditions[0]


def _barrier(program: Program, i: Do) -> Iterator[str]:
    pe = i.step.agent
    everywhere = range(program.lines * len(program.cells))
    waits: list[str] = []
    body: list[str] = []
    if pe in program.maintainers:
        if i.step.op is Op.DSB:
            waits = [f"cell[{n}].queue_p{pe}[0] == 0" for n in everywhere]
        else:
            body = [f"order_p{pe}({n})" for n in everywhere]
    if pe in program.remembering:
        body += [f"cell[{n}].uncached_store_p{pe} = 0" for n in everywhere]
    yield from _statement("d_step", waits, body)


def _init(program: Program, cells: int) -> Iterator[str]:
    yield "init {"
    yield "  atomic {"
    yield from (f"    run hardware({n});" for n in range(cells))
    yield from (f"    run {thread.name}_thread();" for thread in program.threads)
    yield "  }"
    yield "}"


