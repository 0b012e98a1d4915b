"""The threads of a concrete program as Promela processes: a label for each place that is jumped to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pocwatch.arch.ops import Op
from pocwatch.kvm.export import cases
from pocwatch.kvm.export.concrete import (
    SWITCHES,
    Do,
    Each,
    Instruction,
    Program,
    Set,
    Thread,
    Wait,
    cell_of,
    names_a_line,
)
from pocwatch.kvm.export.graph import Arc
from pocwatch.kvm.export.meaning import Waits, meaning
from pocwatch.kvm.export.words import comment, guard, name_of_event, name_of_op, plain
from pocwatch.line.automaton import Event
from pocwatch.line.line import read_kind
from pocwatch.platforms import Platform


def process(program: Program, thread: Thread) -> Iterator[str]:
    """Yield the lines of a thread's process."""
    order = _order(thread)
    follows = dict(zip(order, [*order[1:], None], strict=True))
    labelled = {a.to for at in order for a in thread.leaving[at] if a.to != follows[at]}
    yield f"proctype {thread.name}_thread() {{"
    if any(isinstance(i, Each) for i in thread.instructions):
        yield f"  bit did[{program.lines}];"
    for at in order:
        if at in labelled:
            yield f"at{at}:"
        yield from _place(program, thread.leaving[at], follows[at], labelled=at in labelled)
    yield "}"


def _order(thread: Thread) -> list[int]:
    """Return the places so that each is followed by one that it leads to, where that is possible."""
    order: dict[int, None] = {}
    todo = [0]
    while todo:
        at = todo.pop()
        if at not in order:
            order[at] = None
            todo += [arc.to for arc in reversed(thread.leaving[at])]
    ends = [at for at in order if not thread.leaving[at]]
    return [*(at for at in order if thread.leaving[at]), *ends]  # to end is to come to the last line


def _place(
    program: Program, leaving: tuple[Arc[Instruction], ...], follows: int | None, *, labelled: bool
) -> Iterator[str]:
    if not leaving:
        if labelled or follows is not None:
            yield "  skip;"
    elif len(leaving) == 1 and not labelled:
        yield from _arc(program, leaving[0])
        if leaving[0].to != follows:
            yield f"  goto at{leaving[0].to};"
    else:  # also for one arc: SPIN does not let a label stand before a d_step
        yield "  if"
        for arc in leaving:
            first, *more = _arc(program, arc)
            yield f"  ::{first[1:]}"
            yield from (f"  {line}" for line in more)
            if arc.to != follows:
                yield f"     goto at{arc.to}"
        yield "  fi;"


def _arc(program: Program, arc: Arc[Instruction]) -> Iterator[str]:
    told = " / ".join(map(plain, arc.notes))
    yield f"  /* {comment(arc.does)}{f' -- {told}' if told else ''} */"
    yield from _instruction(program, arc.does)


def _instruction(program: Program, i: Instruction | None) -> Iterator[str]:
    if i is None:
        yield "  skip;"
    elif isinstance(i, Wait):
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


def block(platform: Platform, events: Iterable[Event]) -> str:
    """Return the keyword for one move: `d_step` costs no states in between, but takes no choices."""
    certain = all(len(cases.outcomes(platform, event)) == 1 for event in events)
    return "d_step" if certain else "atomic"


def _block_of(program: Program, i: Do | Each) -> str:
    does = meaning(i.step)
    if does.issues is not None and i.step.agent in program.remembering:
        return "atomic"
    events = (event for event in (does.own, does.others) if event is not None)
    return block(program.platform, events)


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
