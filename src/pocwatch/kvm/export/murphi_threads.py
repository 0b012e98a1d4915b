"""The threads of a concrete program as Murphi rules: one for each arc, with the place as its guard."""

from __future__ import annotations

from collections.abc import Iterator

from pocwatch.arch.ops import Op
from pocwatch.kvm.export import cases
from pocwatch.kvm.export.cases import Case
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
from pocwatch.line.line import read_kind
from pocwatch.platforms import Platform


def case_guard(case: Case, platform: Platform, cell: str = "c") -> str:
    """Return the guard of a case as an expression over a cell."""
    text = guard(case, platform, cell, ands=" & ", ors=" | ", differs="!=", equals="=")
    return text or "true"


def rule(program: Program, thread: Thread, arc: Arc[Instruction]) -> Iterator[str]:
    """Yield the lines of the rule by which a thread goes along an arc."""
    name, i = thread.name, arc.does
    rulesets, guards = [], [f"at_{name} = {arc.at}"]
    body: list[str] = []
    on = f"at_{name} := {arc.to};"
    if i is None:
        pass
    elif isinstance(i, Wait):
        guards.append(f"flag[{i.flag}]")
    elif isinstance(i, Set):
        body.append(f"flag[{i.flag}] := true;")
    elif not names_a_line(i.step):
        waits, body = _everywhere(program, i.step.op, i.step.agent)
        guards += waits
    else:
        line = str(i.line) if isinstance(i, Do) else "l"
        if isinstance(i, Each):
            rulesets.append("l: Line")
            guards.append(f"!did_{name}[l]")
            on = (
                f"did_{name}[l] := true; if forall k: Line do did_{name}[k] end then {on} "
                f"for k: Line do did_{name}[k] := false; end; end;"
            )
        more, waits, body = _on_line(program, i, line)
        rulesets += more
        guards += waits
    if rulesets:
        yield f"ruleset {'; '.join(rulesets)} do"
    yield f'rule "{_title(thread, arc)}" {" & ".join(guards)} ==>'
    yield "begin"
    yield from (f"  {part}" for part in (*body, on))
    yield "end;"
    if rulesets:
        yield "end;"


def _title(thread: Thread, arc: Arc[Instruction]) -> str:
    told = " / ".join(map(plain, arc.notes))
    to = "" if arc.to == arc.at + 1 else f" to {arc.to}"
    return f"{thread.name} {arc.at}{to}: {comment(arc.does)}{f' -- {told}' if told else ''}"


def _everywhere(program: Program, op: Op, pe: int) -> tuple[list[str], list[str]]:
    """Return guards and body of a barrier or an MMU switch."""
    if op in SWITCHES:
        if program.fills_may_stop and pe < program.pes_that_count:
            return [], [f"mmu_off[{pe}] := {str(op is Op.MMU_OFF).lower()};"]
        return [], []
    waits: list[str] = []
    inner: list[str] = []
    if pe in program.maintainers:
        if op is Op.DSB:
            none = f"cell[k][p].queue_p{pe}[0].op = NONE"
            waits = [f"(forall k: Line do forall p: Place do {none} end end)"]
        else:
            inner.append(f"order_p{pe}(cell[k][p]);")
    if pe in program.remembering:
        inner.append(f"cell[k][p].uncached_store_p{pe} := false;")
    body = [f"for k: Line do for p: Place do {' '.join(inner)} end; end;"] if inner else []
    return waits, body


def _on_line(program: Program, i: Do | Each, line: str) -> tuple[list[str], list[str], list[str]]:
    """Return rulesets (a number for each choice), guards and body of a step on one line."""
    does, pe = meaning(i.step), i.step.agent
    rulesets: list[str] = []
    guards: list[str] = []
    body: list[str] = []
    for place, index in enumerate(program.cells):
        cell, own = f"cell[{line}][{place}]", index == cell_of(i.step)
        if pe in program.maintainers and does.waits is not Waits.NOT:
            first = f"{cell}.queue_p{pe}[0]"
            guards.append(
                f"{first}.op = NONE" if does.waits is Waits.FOR_ALL else f"!{first}.ordered"
            )
        if i.judged and own:
            fresh = " | ".join(
                f"({case_guard(case, program.platform, cell)})"
                for case in cases.fresh(program.platform, read_kind(i.step))
            )
            body.append(f'assert {fresh} "{i.step} is never stale";')
        if does.uncached_store and pe in program.remembering:
            body.append(f"{cell}.uncached_store_p{pe} := true;")
        event = does.own if own else does.others
        if event is not None:
            name = name_of_event(event)
            last = len(cases.outcomes(program.platform, event)) - 1
            if last:
                rulesets.append(f"o{place}: 0..{last}")
                guards.append(f"{name}_has({cell}, o{place})")
            body.append(f"{name}({cell}{f', o{place}' if last else ''});")
        if does.issues is not None:
            issue = f"issue_p{pe}({cell}, {name_of_op(does.issues)});"
            if pe in program.remembering:
                rulesets.append(f"acts{place}: boolean")
                guards.append(f"(acts{place} | {cell}.uncached_store_p{pe})")
                issue = f"if acts{place} then {issue} end;"
            body.append(issue)
    return rulesets, guards, body
