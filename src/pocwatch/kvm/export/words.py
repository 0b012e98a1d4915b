"""What the Promela and the Murphi text have in common: names, and guarded cases as expressions."""

from __future__ import annotations

import re
from collections.abc import Callable

from pocwatch.arch.ops import Op
from pocwatch.kvm.export.cases import Box, Case, Value, domain
from pocwatch.kvm.export.concrete import Do, Each, Instruction, Program, Set, names_a_line
from pocwatch.line.automaton import Event
from pocwatch.line.model import Copy
from pocwatch.platforms import Platform


def name_of_event(event: Event) -> str:
    """Return an identifier, such as `st_wb_neighbour`, `dc_civac` or `outer_inv`."""
    name = event.name.lower()
    return f"dc_{name}" if Event.CVAC <= event <= Event.ISW else name


def name_of_op(op: Op) -> str:
    """Return a constant, such as `DC_CIVAC`."""
    return op.spelling.upper().replace(" ", "_")


def name_of_value(value: Value) -> str:
    """Return a constant, such as `LATEST_DIRTY`."""
    if isinstance(value, Copy):
        return value.name
    return "LATEST" if value else "STALE"


def variables(platform: Platform) -> tuple[str, ...]:
    """Return the names of a cell's variables: one per level, and `memory`."""
    names = [level.name.lower() for level in platform.levels]
    usual = all(re.fullmatch(r"l[0-9][a-z]?", name) for name in names)
    if not usual or len(set(names)) < len(names):  # a user's platform may call them anything
        names = [f"level{number}" for number in range(len(names))]
    return (*names, "memory")


def guard(
    case: Case, platform: Platform, cell: str, *, ands: str, ors: str, differs: str, equals: str
) -> str:
    """Return the guard of a case as an expression, "" if it always holds."""
    parts: list[str] = []
    names = variables(platform)
    everything: Box = domain(platform)
    for name, values, possible in zip(names, case.where, everything, strict=True):
        others = [value for value in possible if value not in values]
        if not others:
            continue
        left = f"{cell}.{name}"
        if len(values) == 1:
            parts.append(f"{left} {equals} {name_of_value(values[0])}")
        elif len(others) < len(values):
            parts += [f"{left} {differs} {name_of_value(value)}" for value in others]
        else:
            each = [f"{left} {equals} {name_of_value(value)}" for value in values]
            parts.append(f"({ors.join(each)})")
    return ands.join(parts)


def assignments(case: Case, platform: Platform, assign: Callable[[str, str], str]) -> list[str]:
    """Return an assignment for each variable that the case changes."""
    return [
        assign(name, name_of_value(value))
        for name, value in zip(variables(platform), case.becomes, strict=True)
        if value is not None
    ]


def comment(instruction: Instruction | None) -> str:
    """Return an instruction in words."""
    if instruction is None:
        return "nothing that a line sees"
    if isinstance(instruction, Do | Each):
        where = ""
        if isinstance(instruction, Each):
            where = ", each line"
        elif names_a_line(instruction.step):
            where = f", line {instruction.line}"
        judged = ", never stale" if instruction.judged else ""
        return f"{instruction.step}{where}{judged}"
    return f"{'set' if isinstance(instruction, Set) else 'wait for'} flag {instruction.flag}"


def plain(text: str) -> str:
    """Return text that may stand in a comment or a string of either language."""
    text = " ".join(text.splitlines()).replace("\u00d7", "x")
    text = text.replace('"', "'").replace("\\", "/").replace("*/", "* /").replace("/*", "/ *")
    return text.encode("ascii", "replace").decode()


def head(program: Program, verify: str) -> list[str]:
    """Return what the model is, line by line; `verify` are the commands for it."""
    platform = program.platform
    names = ", ".join(level.name for level in platform.levels)
    lines = [
        f"{program.name}; platform {platform.name}: {names}.",
        "Caches fill, write back, evict and drop at any time; maintenance acts between issue and DSB.",
        "Made by pocwatch from its line model: do not edit. The instruction side is left out.",
        "Verify with what follows; a failed assertion is a read that may be stale.",
        f"  {verify}",
        *program.about,
    ]
    return [plain(line) for line in lines]
