"""Concrete programs as models for pocwatch's own checker: no judged read is ever stale.

The cells stand for all that caches may do (the table, or the literal `model.Cell`), so caches cost
nothing. `stepwise` has the same programs over caches that move one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from pocwatch.arch.ops import Op
from pocwatch.check.claims import Claim, always
from pocwatch.kvm.export.concrete import (
    BARRIERS,
    SWITCHES,
    Do,
    Each,
    Instruction,
    Program,
    Set,
    Wait,
    cell_of,
)
from pocwatch.line.line import CellLike, read_kind, step_cell
from pocwatch.line.word import Step

H = TypeVar("H")
C = TypeVar("C", bound=CellLike)

NEVER_STALE = "no judged read is stale"


class LineState(NamedTuple, Generic[H]):
    """A line: which threads have done their present `Each` on it, and what its cells hold."""

    done: tuple[bool, ...]  # per thread
    held: tuple[H, ...]  # per cell of the program


class State(NamedTuple, Generic[H]):
    """Where the threads are, the flags, the lines; `stale` names the judged read that was stale."""

    places: tuple[int, ...]  # per thread
    flags: tuple[bool, ...]
    lines: tuple[LineState[H], ...]
    off: frozenset[int] = frozenset()  # PEs with MMU and caches off, where cells do not know it
    stale: str | None = None


class Turn(NamedTuple):
    """What a thread may do next, on one line if it names one or does each; None: only go on."""

    thread: int
    instruction: Instruction | None
    line: int | None
    to: int


def turns(program: Program, state: State[H]) -> Iterator[Turn]:
    """Yield what threads may do next, as far as flags and their own order allow."""
    for number, thread in enumerate(program.threads):
        for arc in thread.leaving[state.places[number]]:
            i = arc.does
            if isinstance(i, Each):
                for line, there in enumerate(state.lines):
                    if not there.done[number]:
                        yield Turn(number, i, line, arc.to)
            elif isinstance(i, Do) and i.step.op not in BARRIERS | SWITCHES:
                yield Turn(number, i, i.line, arc.to)
            elif not isinstance(i, Wait) or state.flags[i.flag]:
                yield Turn(number, i, None, arc.to)


def moved_on(state: State[H], turn: Turn) -> State[H]:
    """Return the state in which the thread has done it: it is at the next place, the flag is set."""
    thread = turn.thread
    lines = list(state.lines)
    if isinstance(turn.instruction, Each):
        assert turn.line is not None
        there = lines[turn.line]
        lines[turn.line] = there._replace(done=_with(there.done, thread, True))
        if not all(line.done[thread] for line in lines):
            return state._replace(lines=tuple(lines))
        lines = [line._replace(done=_with(line.done, thread, False)) for line in lines]
    flags = state.flags
    if isinstance(turn.instruction, Set):
        flags = _with(flags, turn.instruction.flag, True)
    places = (*state.places[:thread], turn.to, *state.places[thread + 1 :])
    return state._replace(places=places, flags=flags, lines=tuple(lines))


def _with(bits: tuple[bool, ...], number: int, value: bool) -> tuple[bool, ...]:
    return (*bits[:number], value, *bits[number + 1 :])


def at_start(program: Program, held: H) -> State[H]:
    line = LineState((False,) * len(program.threads), (held,) * len(program.cells))
    places, flags = (0,) * len(program.threads), (False,) * program.flags
    return State(places, flags, (line,) * program.lines)


def never_stale() -> Sequence[Claim[State[H], str]]:
    return (always(NEVER_STALE, lambda state: state.stale is None),)


class System(Generic[C]):
    """A program over cells that stand for all that caches may do: `model.Cell` or `PendingCell`.

    Where no instruction names a line, exchanges of lines are one state (`canonical`); the label of a
    stale read then names the line that it was before the exchange.
    """

    def __init__(
        self, program: Program, cell: C, step: Callable[..., C] = step_cell
    ) -> None:
        self.program = program
        self._cells = program.cells
        self._cell = cell
        self._step = step  # `step_cell`, or a memoised version of it
        self.claims: Sequence[Claim[State[C], str]] = never_stale()
        self._numbers: dict[C, int] = {}
        if program.symmetric:
            self.canonical = self._sorted_lines

    def initial(self) -> list[State[C]]:
        return [at_start(self.program, self._cell)]

    def _sorted_lines(self, state: State[C]) -> State[C]:
        """Return the state with its lines in an order that depends on what they hold alone."""

        def key(line: LineState[C]) -> tuple[tuple[bool, ...], list[int]]:
            numbers = self._numbers  # cells have no order; that of discovery will do
            return line.done, [numbers.setdefault(cell, len(numbers)) for cell in line.held]

        return state._replace(lines=tuple(sorted(state.lines, key=key)))

    def actions(self, state: State[C]) -> Iterator[tuple[str, State[C]]]:
        if state.stale is not None:
            return
        for turn in turns(self.program, state):
            after = moved_on(state, turn)
            i = turn.instruction
            if not isinstance(i, Do | Each):
                yield str(i), after
                continue
            lines = list(after.lines)
            on = range(len(lines)) if turn.line is None else (turn.line,)
            for n in on:
                lines[n] = lines[n]._replace(held=self._stepped(lines[n].held, i.step))
            after = after._replace(lines=tuple(lines))
            label = str(i.step) if turn.line is None else f"{i.step}, line {turn.line}"
            if i.judged and turn.line is not None:
                own = self._cells.index(cell_of(i.step))
                if self._is_stale(state.lines[turn.line].held[own], i.step):
                    after = after._replace(stale=label)
            yield label, after

    def _stepped(self, held: tuple[C, ...], step: Step) -> tuple[C, ...]:
        return tuple(
            self._step(cell, step, own=index == cell_of(step))
            for index, cell in zip(self._cells, held, strict=True)
        )

    def _is_stale(self, cell: C, step: Step) -> bool:
        kind = read_kind(step)
        if step.op is Op.LD:  # sees its own PE's earlier maintenance as ordered
            cell = cell.load(step.agent, kind)
        return cell.reads(kind)
