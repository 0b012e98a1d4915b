"""A maintenance loop over addresses, for every range of a small memory: the model behind two couplings.

A loop by VA is right for one line if it is given an address of the line. Which lines a loop is given
depends on all of the range and on the stride, so the whole loop is modelled, over the line automaton.
"""

from __future__ import annotations

import enum
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.arch.ops import Kind
from pocwatch.check.claims import Claim, always, sometimes
from pocwatch.line.line import step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import parse
from pocwatch.platforms import Platform

VISIBLE = "a reader with its MMU off sees all of the range"
KEPT = "nobody's bytes outside the range are lost"
FINISHED = "the loop comes to its end"

Operation = tuple[str, int]  # as `dc civac`, and the address it is given
_step = functools.cache(step_cell)


class Reach(enum.Enum):
    """Whether an operation by VA works on a cell."""

    NOT = "not"
    PERHAPS = "perhaps"  # it depends on whose cache holds the cell
    SURELY = "surely"


class Purpose(enum.Enum):
    """What the loop is for."""

    TO_READER = "what P0 wrote is to be read with the MMU off"
    FROM_DEVICE = "what P0 wrote in the range is of no use: a device is to write there"


class State(NamedTuple):
    """The range in bytes, how many operations of the loop were issued, the cells by address.

    `issued` is -1 before the writes, and one more than there are operations after the DSB.
    """

    start: int
    end: int
    issued: int
    cells: tuple[PendingCell, ...]


@dataclass(frozen=True)
class RangeLoop:
    """All cells are written by P0 through its cache; P0 then maintains a range, in a loop, and does DSB.

    `spacing` is the distance of the cells that are followed, `loop` the operations for a range, `reach`
    whether an operation at an address works on a cell; each range is an initial state.
    """

    platform: Platform
    ranges: Sequence[tuple[int, int]]
    size: int
    spacing: int
    loop: Callable[[int, int], Sequence[Operation]]
    reach: Callable[[int, int], Reach]
    purpose: Purpose = Purpose.TO_READER

    @property
    def claims(self) -> Sequence[Claim[State, str]]:
        def visible(s: State) -> bool:
            return not self._finished(s) or self._all_fresh(s, Kind.DEV, inside=True)

        def kept(s: State) -> bool:
            return not self._finished(s) or self._all_fresh(s, Kind.WB, inside=False)

        wanted = [always(VISIBLE, visible)] if self.purpose is Purpose.TO_READER else []
        return (*wanted, always(KEPT, kept), sometimes(FINISHED, self._finished))

    def initial(self) -> Iterator[State]:
        cell = PendingCell.initial(automaton_of(self.platform))
        for start, end in self.ranges:
            yield State(start, end, -1, (cell,) * (self.size // self.spacing))

    def actions(self, state: State) -> Iterator[tuple[str, State]]:
        operations = self.loop(state.start, state.end)
        if state.issued < 0:
            yield "all is written", self._everywhere(state, "P0 st wb")
        elif state.issued < len(operations):
            op, address = operations[state.issued]
            options = [
                self._options(cell, op, self.reach(address, number * self.spacing))
                for number, cell in enumerate(state.cells)
            ]
            for cells in itertools.product(*options):
                after = state._replace(issued=state.issued + 1, cells=cells)
                yield f"{op} at {address}", after
        elif not self._finished(state):
            yield "dsb", self._everywhere(state, "P0 dsb")

    def _options(self, cell: PendingCell, op: str, reach: Reach) -> tuple[PendingCell, ...]:
        worked_on = _step(cell, parse(f"P0 {op}")[0], own=True)
        if reach is Reach.SURELY:
            return (worked_on,)
        return (cell,) if reach is Reach.NOT else (worked_on, cell)

    def _everywhere(self, state: State, text: str) -> State:
        (step,) = parse(text)
        cells = tuple(_step(cell, step, own=True) for cell in state.cells)
        return state._replace(issued=state.issued + 1, cells=cells)

    def _finished(self, state: State) -> bool:
        return state.issued > len(self.loop(state.start, state.end))

    def _all_fresh(self, state: State, kind: Kind, *, inside: bool) -> bool:
        return not any(
            cell.reads(kind)
            for number, cell in enumerate(state.cells)
            if (state.start <= number * self.spacing < state.end) is inside
        )
