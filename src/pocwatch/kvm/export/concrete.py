"""A concrete program: threads that do steps of the line model to some lines, and wait for each other.

Threads are graphs, most of them straight; there are no data but flags. The text for other model checkers
and the models for pocwatch's own are made from this and from `meaning`. The instruction side is left out:
fetches cannot be judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pocwatch.arch.ops import DATA_MAINTENANCE, Op
from pocwatch.kvm.export.graph import Arc, smallest
from pocwatch.kvm.export.meaning import Waits, meaning
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.line import CELL_BYTES, is_read
from pocwatch.line.word import Step, parse
from pocwatch.platforms import Platform

SWITCHES = frozenset({Op.MMU_ON, Op.MMU_OFF})
BARRIERS = frozenset({Op.DMB, Op.DSB})


class ExportError(ValueError):
    """A program that cannot be written as a concrete model; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Do:
    """One step on one line; barriers and MMU switches concern all lines, whatever `line` says."""

    step: Step
    line: int = 0
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """One step on every line, in any order: what keeps lines interchangeable."""

    step: Step
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when the flag is set."""

    flag: int


@dataclass(frozen=True, slots=True)
class Set:
    """Set the flag, for good."""

    flag: int


Instruction: TypeAlias = Do | Each | Wait | Set


@dataclass(frozen=True, slots=True)
class Thread:
    """A graph: places, 0 is the start, and what may be done at each. `name` is an identifier.

    `leaving[at]` are the arcs that leave a place; where there is none the thread ends.
    """

    name: str
    arcs: tuple[Arc[Instruction], ...]
    leaving: tuple[tuple[Arc[Instruction], ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        leaving: list[list[Arc[Instruction]]] = [[]]
        for arc in self.arcs:
            leaving += [[] for _ in range(len(leaving), 1 + max(arc.at, arc.to))]
            leaving[arc.at].append(arc)
        object.__setattr__(self, "leaving", tuple(map(tuple, leaving)))

    @property
    def places(self) -> int:
        return len(self.leaving)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """All that may be done; of a straight thread, in its order."""
        return tuple(arc.does for arc in self.arcs if arc.does is not None)


def straight(name: str, instructions: Iterable[Instruction]) -> Thread:
    """Return a thread that does one thing after the other."""
    return Thread(name, tuple(Arc(at, does, at + 1) for at, does in enumerate(instructions)))


@dataclass(frozen=True, slots=True)
class Program:
    """Threads over `lines` lines at rest. `pes` counts for the fill switch; None: the platform's.

    `about`: what a reader of the text should know, line by line.
    """

    name: str
    platform: Platform
    threads: tuple[Thread, ...]
    lines: int = 1
    pes: int | None = None
    about: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _checked(self)

    @property
    def instructions(self) -> Iterator[Instruction]:
        for thread in self.threads:
            yield from thread.instructions

    @property
    def accesses(self) -> Iterator[Do | Each]:
        """All steps that are done."""
        return (i for i in self.instructions if isinstance(i, Do | Each))

    @property
    def cells(self) -> tuple[int, ...]:
        """Indices of the cells of a line that some judged read touches: no other one matters."""
        return tuple(sorted({cell_of(i.step) for i in self.accesses if i.judged}))

    @property
    def flags(self) -> int:
        return max((i.flag for i in self.instructions if isinstance(i, Set | Wait)), default=-1) + 1

    @property
    def maintainers(self) -> tuple[int, ...]:
        """PEs that issue data maintenance, in order."""
        return tuple(sorted({i.step.agent for i in self.accesses if i.step.op in DATA_MAINTENANCE}))

    @property
    def operations(self) -> tuple[Op, ...]:
        """Data maintenance that may be pending, in order."""
        return tuple(sorted({i.step.op for i in self.accesses} & DATA_MAINTENANCE.keys()))

    @property
    def remembering(self) -> tuple[int, ...]:
        """PEs that maintain and also store around the caches: their maintenance may come too early."""
        stores = {i.step.agent for i in self.accesses if meaning(i.step).uncached_store}
        return tuple(pe for pe in self.maintainers if pe in stores)

    @property
    def events(self) -> tuple[Event, ...]:
        """What may happen to some cell, maintenance that takes effect included."""
        met = {MAINTENANCE_EVENT[op] for op in self.operations}
        for i in self.accesses:
            does = meaning(i.step)
            touched = {does.own if cell == cell_of(i.step) else does.others for cell in self.cells}
            met |= {event for event in touched if event is not None}
        return tuple(sorted(met))

    @property
    def pes_that_count(self) -> int:
        """How many PEs there are for the fill switch."""
        return self.pes or self.platform.pes

    def queue_length(self, pe: int) -> int:
        """Return how many operations of a PE may be pending on one line at most.

        Raises ExportError if there is no such number.
        """
        return max(
            1,
            *(
                sum(_most_pending(thread, pe, line) for thread in self.threads)
                for line in range(self.lines)
            ),
        )

    @property
    def symmetric(self) -> bool:
        """Whether nothing names a line: all lines are interchangeable."""
        return not any(isinstance(i, Do) and names_a_line(i.step) for i in self.instructions)

    @property
    def fills_may_stop(self) -> bool:
        """Whether all PEs may have their MMU off at once, so that caches only fill on demand."""
        return set(range(self.pes_that_count)) <= {
            i.step.agent for i in self.accesses if i.step.op is Op.MMU_OFF
        }

    def of_line(self, line: int) -> Program:
        """Return what is left of the program for one line: the soundness argument's projection."""

        def projected(i: Instruction | None) -> Instruction | None:
            if isinstance(i, Each):
                return Do(i.step, 0, i.judged)
            if isinstance(i, Do):
                return Do(i.step, 0, i.judged) if i.line == line or not names_a_line(i.step) else None
            return i

        threads = tuple(
            Thread(
                t.name, smallest(Arc(a.at, projected(a.does), a.to, a.notes) for a in t.arcs)
            )
            for t in self.threads
        )
        name = f"{self.name}, line {line}"
        return Program(name, self.platform, threads, 1, self.pes, self.about)


def _checked(program: Program) -> None:
    names = [thread.name for thread in program.threads]
    if len(set(names)) < len(names):
        raise ExportError(f"threads are called {', '.join(names)}: names must differ")
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ExportError(f"a thread is called {name!r}: accepted are a-z, then a-z, 0-9 and _")
    if program.lines < 1:
        raise ExportError(f"{program.name}: {program.lines} lines: it takes 1 or more")
    for thread in program.threads:
        for there in thread.leaving:
            if len(there) > 1 and any(isinstance(arc.does, Each) for arc in there):
                raise ExportError(
                    f"{thread.name}: at place {there[0].at} it may do something on each line, or another "
                    "thing: what is begun on each line is finished first, so there can be no choice"
                )
    for i in program.accesses:
        if isinstance(i, Do) and not 0 <= i.line < program.lines:
            raise ExportError(
                f"'{i.step}' is on line {i.line}: accepted are 0 to {program.lines - 1}"
            )
        if isinstance(i, Each) and not names_a_line(i.step):
            raise ExportError(f"'{i.step}' on each line: it concerns no line, use Do")
        if i.judged and (i.step.op is Op.IF or not is_read(i.step)):
            raise ExportError(f"'{i.step}' is judged: accepted are ld, tw and rd")


def names_a_line(step: Step) -> bool:
    """Return whether the step works on one line, and does so on the data side."""
    return step.op not in BARRIERS | SWITCHES


def cell_of(step: Step) -> int:
    """Return the index of the cell in its line that a step touches."""
    return step.offset // CELL_BYTES


def _most_pending(thread: Thread, pe: int, line: int) -> int:
    """Return how much of what a thread issues as a PE may be pending on a line at most."""
    most = {0: 0}
    todo = [0]
    while todo:
        at = todo.pop()
        for arc in thread.leaving[at]:
            after = _pending_after(most[at], arc.does, pe, line)
            if after > most.get(arc.to, -1):
                if after > len(thread.arcs):
                    raise ExportError(
                        f"{thread.name}: P{pe} may issue maintenance again and again without a dsb: any "
                        "number of operations may be pending, and a concrete model has no room for that"
                    )
                most[arc.to] = after
                todo.append(arc.to)
    return max(most.values())


def _pending_after(before: int, i: Instruction | None, pe: int, line: int) -> int:
    if not isinstance(i, Do | Each) or i.step.device or i.step.agent != pe:
        return before
    if i.step.op is Op.DSB:
        return 0
    if not names_a_line(i.step) or (isinstance(i, Do) and i.line != line):
        return before
    does = meaning(i.step)
    if does.waits is Waits.FOR_ALL:
        return 0
    return before + (does.issues is not None)


def do(text: str, lines: Sequence[int] = (0,)) -> tuple[Instruction, ...]:
    """Return each step of a word (`pocwatch line` spells them so) on each of the lines, in order."""
    return tuple(Do(step, line) for step in parse(text) for line in lines)


def judge(text: str, lines: Sequence[int] = (0,)) -> tuple[Instruction, ...]:
    """Return reads, as `do`, that must never be stale."""
    return tuple(Do(step, line, judged=True) for step in parse(text) for line in lines)


def each(text: str, *, judged: bool = False) -> tuple[Instruction, ...]:
    """Return each step of a word on every line, the lines in any order."""
    return tuple(Each(step, judged) for step in parse(text))
