"""A concrete program: threads that do steps of the line model to some lines, and wait for each other.

What a step means for a cell is said once, by `meaning`, in terms of the line model's events; the
text for other model checkers and the models for pocwatch's own are made from that. Threads are
straight: no branches, no data but flags. The instruction side is left out: fetches cannot be judged,
`ic` and `isb` do nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind, Op
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event
from pocwatch.line.line import CELL_BYTES, is_read, read_kind
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
    """Instructions in program order; `name` is an identifier."""

    name: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Threads over `lines` lines at rest. `pes` counts for the fill switch; None: the platform's."""

    name: str
    platform: Platform
    threads: tuple[Thread, ...]
    lines: int = 1
    pes: int | None = None

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
        """Return how many operations of a PE may be pending on one line at most."""
        issues = [
            None if isinstance(i, Each) else i.line
            for i in self.accesses
            if i.step.agent == pe and i.step.op in DATA_MAINTENANCE
        ]
        return max(sum(at in (None, line) for at in issues) for line in range(self.lines))

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

        def projected(thread: Thread) -> Iterator[Instruction]:
            for i in thread.instructions:
                if isinstance(i, Each):
                    yield Do(i.step, 0, i.judged)
                elif not isinstance(i, Do):
                    yield i
                elif i.line == line or not names_a_line(i.step):
                    yield Do(i.step, 0, i.judged)

        threads = tuple(Thread(t.name, tuple(projected(t))) for t in self.threads)
        return Program(f"{self.name}, line {line}", self.platform, threads, 1, self.pes)


def _checked(program: Program) -> None:
    names = [thread.name for thread in program.threads]
    if len(set(names)) < len(names):
        raise ExportError(f"threads are called {', '.join(names)}: names must differ")
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ExportError(f"a thread is called {name!r}: accepted are a-z, then a-z, 0-9 and _")
    if program.lines < 1:
        raise ExportError(f"{program.name}: {program.lines} lines: it takes 1 or more")
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


class Waits(enum.Enum):
    """What of its own PE's pending maintenance of the line an access waits for. Facts C9."""

    NOT = "not"
    FOR_ORDERED = "for what a DMB ordered"
    FOR_ALL = "for all"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a step does to each cell of its line; `model.Cell` and `line.step_cell` say the same."""

    waits: Waits = Waits.NOT
    own: Event | None = None  # to the cell it touches
    others: Event | None = None  # to the other cells of the line
    issues: Op | None = None  # becomes pending
    uncached_store: bool = False  # maintenance that follows may act as if it came before
    reads: Kind | None = None


def meaning(step: Step) -> Meaning:
    """Return what a step means that works on one line. The instruction side has no meaning here."""
    op = step.op
    if op in DATA_MAINTENANCE:
        return Meaning(issues=op)
    if op in OUTER_MAINTENANCE:
        return Meaning(own=MAINTENANCE_EVENT[op], others=MAINTENANCE_EVENT[op])
    if op is Op.DC_ZVA:
        return Meaning(Waits.FOR_ALL, Event.ST_WB, Event.ST_WB)
    if op is Op.DMA_WR:
        return Meaning(own=Event.WR_COHERENT if step.coherent else Event.ST_NC)
    if op is Op.ST:
        if step.kind is Kind.WB:
            return Meaning(Waits.FOR_ALL, Event.ST_WB, Event.ST_WB_NEIGHBOUR)
        if step.kind is Kind.WT:
            return Meaning(Waits.FOR_ORDERED, Event.ST_WT)
        return Meaning(Waits.FOR_ORDERED, Event.ST_NC, uncached_store=True)
    if op in (Op.LD, Op.TW, Op.DMA_RD):
        kind = read_kind(step)
        fill = Event.LD_CACHED if kind in (Kind.WB, Kind.WT) else None
        waits = Waits.NOT  # walks and devices wait for nothing
        if op is Op.LD:
            waits = Waits.FOR_ALL if kind is Kind.WB else Waits.FOR_ORDERED
        return Meaning(waits, fill, fill, reads=kind)
    return Meaning()


def do(text: str, lines: Sequence[int] = (0,)) -> tuple[Instruction, ...]:
    """Return each step of a word (`pocwatch line` spells them so) on each of the lines, in order."""
    return tuple(Do(step, line) for step in parse(text) for line in lines)


def judge(text: str, lines: Sequence[int] = (0,)) -> tuple[Instruction, ...]:
    """Return reads, as `do`, that must never be stale."""
    return tuple(Do(step, line, judged=True) for step in parse(text) for line in lines)


def each(text: str, *, judged: bool = False) -> tuple[Instruction, ...]:
    """Return each step of a word on every line, the lines in any order."""
    return tuple(Each(step, judged) for step in parse(text))
