"""A set/way loop goes over places of one PE's cache; lines and threads may be elsewhere when it comes by.

Whether a line is cleaned depends on its way, on the others that took the other ways, and on who else
runs. The line model says "certainly with one PE, perhaps with more"; this is where that comes from.
Private caches of one set, memory behind; by VA, for comparison, finds lines wherever they are. An
operation works on what lies in its way when it is issued; acting later it would find less, which
matters only where lines move, and there set/way is wrong already. Facts A6, C5, B8.6, B8.15, B8.31.
"""

from __future__ import annotations

import enum
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.arch.ops import Kind
from pocwatch.check.claims import Claim, always, sometimes
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import parse
from pocwatch.platforms import Level, Platform

VISIBLE = "a reader with its MMU off sees every line"
FINISHED = "the loop comes to its end"
WAYS = 2
LINES = 2

# Operations that reach a place act for certain: whether they reach it is what is modelled here.
_ONE_CACHE = Platform("one cache", "a private cache", 1, (Level("L1D", True, True),), 1)
_step = functools.cache(step_cell)


class Loop(enum.Enum):
    """What is done, and where."""

    ON_ONE_PE = "set/way on P0"
    ON_EACH_PE = "set/way on each PE in turn"
    BY_VA = "by VA on P0"


class OtherPe(enum.Enum):
    """What P1 does meanwhile."""

    OFF = "off, its cache cleaned before"
    QUIET = "on, without access to the lines"
    RUNNING = "on, its accesses pull lines into its cache"


class Looper(enum.Enum):
    """What becomes of the thread that does the loop."""

    STAYS = "stays on P0"
    MOVES = "may move to P1; the switch does DSB on P0"  # Linux __switch_to() does
    MOVES_UNCOMPLETED = "may move to P1; the switch does no DSB"


Place = tuple[int, int]  # PE, way


class State(NamedTuple):
    """Where each line lies if it is still dirty, what is known of it; how far the loop is, and where."""

    places: tuple[Place, ...]
    cells: tuple[PendingCell, ...]
    done: int
    pe: int


@dataclass(frozen=True)
class SetWay:
    """Every placement of dirty lines is an initial state; at the end an MMU-off reader reads them."""

    loop: Loop
    other: OtherPe
    looper: Looper = Looper.STAYS

    @property
    def claims(self) -> Sequence[Claim[State, str]]:
        return (
            always(VISIBLE, lambda s: s.done <= self._steps or not _any_stale(s)),
            sometimes(FINISHED, lambda s: s.done > self._steps),
        )

    @property
    def _steps(self) -> int:
        if self.loop is Loop.BY_VA:
            return LINES
        return WAYS * (2 if self.loop is Loop.ON_EACH_PE else 1)

    @property
    def _moves(self) -> bool:
        """Whether the thread may move: not to a PE that is off, nor where the loop has its own rounds."""
        able = self.other is not OtherPe.OFF and self.loop is not Loop.ON_EACH_PE
        return able and self.looper is not Looper.STAYS

    @property
    def _places(self) -> list[Place]:
        caches = 1 if self.other is OtherPe.OFF else 2
        return [(pe, way) for pe in range(caches) for way in range(WAYS)]

    def initial(self) -> Iterator[State]:
        (store,) = parse("P0 st wb")
        cell = _step(PendingCell.initial(automaton_of(_ONE_CACHE)), store, own=True)
        # with P1 quiet, P0 wrote all lines; a running P1 may have
        candidates = [p for p in self._places if self.other is OtherPe.RUNNING or p[0] == 0]
        for places in itertools.permutations(candidates, LINES):
            yield State(places, (cell,) * LINES, 0, 0)

    def actions(self, state: State) -> Iterator[tuple[str, State]]:
        if state.done > self._steps:
            return
        if state.done == self._steps:
            yield "dsb", self._completed(state)
        else:
            yield self._next_operation(state)
        if self.other is OtherPe.RUNNING:
            yield from self._migrations(state)
        if self._moves and state.pe == 0:
            completed = self.looper is Looper.MOVES
            cells = self._each(state, "P0 dsb") if completed else state.cells
            yield "the thread moves to P1", state._replace(cells=cells, pe=1)

    def _next_operation(self, state: State) -> tuple[str, State]:
        if self.loop is Loop.BY_VA:
            pe = state.pe
            reached = [line == state.done for line in range(LINES)]
            label = f"dc civac of line {state.done} on P{pe}"
        else:
            # each round of the loop runs on the next PE; a thread that moved goes on where it is
            round_, way = divmod(state.done, WAYS)
            pe = round_ if self.loop is Loop.ON_EACH_PE else state.pe
            reached = [place == (pe, way) for place in state.places]
            label = f"dc cisw of way {way} on P{pe}"
        cleaned = self._each(state, f"P{pe} dc civac")
        cells = tuple(
            after if hit else cell
            for after, cell, hit in zip(cleaned, state.cells, reached, strict=True)
        )
        return label, state._replace(cells=cells, done=state.done + 1)

    def _migrations(self, state: State) -> Iterator[tuple[str, State]]:
        """The other PE loads or stores to a line: it moves there, dirty as it is, to any free way."""
        for line, (pe, _) in enumerate(state.places):
            for place in self._places:
                if place[0] != pe and place not in state.places:
                    places = (*state.places[:line], place, *state.places[line + 1 :])
                    yield f"line {line} moves to P{place[0]}", state._replace(places=places)

    def _completed(self, state: State) -> State:
        on = (0, 1) if self.loop is Loop.ON_EACH_PE else (state.pe,)
        for pe in on:
            state = state._replace(cells=self._each(state, f"P{pe} dsb"))
        return state._replace(done=state.done + 1)

    def _each(self, state: State, text: str) -> tuple[PendingCell, ...]:
        (step,) = parse(text)
        return tuple(_step(cell, step, own=True) for cell in state.cells)


def _any_stale(state: State) -> bool:
    return any(cell.reads(Kind.DEV) for cell in state.cells)
