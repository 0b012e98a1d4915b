"""The line model, determinised and minimised: a few states and one table step per event.

Subset construction over `model.Caches`, with sets as bit masks, then merging of states that no
observer can tell apart. Operations act at once here; that they may be pending is a layer over this
table (`pending`), which stays exact because acting late means being in one of several states.

The fill switch is not part of a state. Every event comes in two forms: with caches that may fill on
their own (some PE has its MMU and caches on) and without; `CLOSE` is what remains of the fills when
they stop, and is applied to every line when the last PE switches off.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pocwatch.arch.ops import Kind, Op
from pocwatch.line import model
from pocwatch.line.model import Caches
from pocwatch.platforms import Platform

_T = TypeVar("_T", bound=Hashable)
_E = TypeVar("_E")


class Event(enum.IntEnum):
    """What happens to a cell, maintenance taking effect included. Columns of the table."""

    ST_WB = 0
    ST_WB_NEIGHBOUR = 1
    ST_NC = 2
    ST_WT = 3
    WR_COHERENT = 4
    LD_CACHED = 5
    CVAC = 6
    CVAU = 7
    CIVAC = 8
    IVAC = 9
    CSW = 10
    CISW = 11
    ISW = 12
    OUTER_CLEAN = 13
    OUTER_INV = 14
    OUTER_FLUSH = 15
    CLOSE = 16


MAINTENANCE_EVENT: dict[Op, Event] = {
    Op.DC_CVAC: Event.CVAC,
    Op.DC_CVAP: Event.CVAC,
    Op.DC_CVAU: Event.CVAU,
    Op.DC_CIVAC: Event.CIVAC,
    Op.DC_IVAC: Event.IVAC,
    Op.DC_CSW: Event.CSW,
    Op.DC_CISW: Event.CISW,
    Op.DC_ISW: Event.ISW,
    Op.OUTER_CLEAN: Event.OUTER_CLEAN,
    Op.OUTER_INV: Event.OUTER_INV,
    Op.OUTER_FLUSH: Event.OUTER_FLUSH,
}


class Stale(enum.IntFlag):
    """Who may read a stale value in a state: the outputs of the automaton."""

    WB = 1  # a write-back read, at level 0
    NC = 2  # a Non-cacheable or Device read, at memory
    POU = 4  # a write-back fetch, behind the I-cache

    def of_read(self, kind: Kind) -> bool:
        """Return whether a data read of this kind may be stale (`model.may_read_stale`)."""
        if kind is Kind.WT:
            return bool(self & (Stale.WB | Stale.NC))
        return bool(self & (Stale.WB if kind is Kind.WB else Stale.NC))

    def of_fetch(self, kind: Kind) -> bool:
        """Return whether the source of a fetch of this kind may be stale."""
        return bool(self & (Stale.POU if kind is Kind.WB else Stale.NC))


@dataclass(frozen=True, slots=True, eq=False)
class Automaton:
    """The table of a platform. State 0 is the start: memory latest, copies at most clean.

    `delta[fill][event][state]` is the next state, `stale[fill][state]` the output; `fill` is 0 or 1.
    `subset_states` counts the states before minimisation, `words[state]` is a shortest way there,
    as (fill, event) pairs.
    """

    platform: Platform
    delta: tuple[tuple[tuple[int, ...], ...], ...]
    stale: tuple[tuple[Stale, ...], ...]
    subset_states: int
    words: tuple[tuple[tuple[int, Event], ...], ...]

    @property
    def states(self) -> int:
        return len(self.stale[0])


def effects(platform: Platform) -> dict[Event, model.Effect]:
    """Return what each event does to a configuration, in the words of the model."""
    table: dict[Event, model.Effect] = {
        Event.ST_WB: model.store_wb,
        Event.ST_WB_NEIGHBOUR: model.store_wb_neighbour,
        Event.ST_NC: model.store_nc,
        Event.ST_WT: model.store_wt,
        Event.WR_COHERENT: model.dma_write_coherent,
        Event.LD_CACHED: model.demand_fill,
        Event.CLOSE: lambda caches: [caches],
    }
    for op, event in MAINTENANCE_EVENT.items():
        table[event] = model.maintain(platform, op)
    return table


class Subsets:
    """Sets of configurations as bit masks, with the model's moves tabulated once."""

    def __init__(self, platform: Platform) -> None:
        self.caches = list(model.all_caches(platform))
        self.index = {c: i for i, c in enumerate(self.caches)}
        self.closures = [self._closures(fill=False), self._closures(fill=True)]
        self.images = {
            event: [self.mask(effect(c)) for c in self.caches]
            for event, effect in effects(platform).items()
        }
        self.stale_masks = {
            Stale.WB: self._where(lambda c: not c.view(0)),
            Stale.NC: self._where(lambda c: not c.memory_latest),
            Stale.POU: self._where(lambda c: not c.view(platform.pou)),
        }

    def mask(self, caches: Iterable[Caches]) -> int:
        mask = 0
        for c in caches:
            mask |= 1 << self.index[c]
        return mask

    def _where(self, holds: Callable[[Caches], bool]) -> int:
        return self.mask(filter(holds, self.caches))

    def _closures(self, *, fill: bool) -> list[int]:
        moves = [
            [self.index[after] for _, after in model.silent_moves(c, fill=fill)]
            for c in self.caches
        ]
        closures = []
        for start in range(len(self.caches)):
            seen = {start}
            todo = [start]
            while todo:
                for after in moves[todo.pop()]:
                    if after not in seen:
                        seen.add(after)
                        todo.append(after)
            closures.append(sum(1 << i for i in seen))
        return closures

    def close(self, mask: int, fill: int) -> int:
        closed = 0
        table = self.closures[fill]
        while mask:
            lowest = mask & -mask
            closed |= table[lowest.bit_length() - 1]
            mask &= ~closed
        return closed

    def step(self, mask: int, event: Event, fill: int) -> int:
        if fill:
            mask = self.close(mask, 1)
        image = 0
        table = self.images[event]
        while mask:
            lowest = mask & -mask
            image |= table[lowest.bit_length() - 1]
            mask ^= lowest
        return self.close(image, 1 if event is Event.CLOSE else fill)

    def stale(self, mask: int, fill: int) -> Stale:
        if fill:
            mask = self.close(mask, 1)
        return functools.reduce(
            lambda seen, flag: seen | flag if mask & self.stale_masks[flag] else seen,
            Stale,
            Stale(0),
        )


def build(platform: Platform) -> Automaton:
    """Return the minimal deterministic automaton of the platform's line model."""
    subsets = Subsets(platform)
    start = subsets.close(subsets.mask([model.at_reset(platform)]), 1)
    numbers = {start: 0}
    order = [start]
    words: list[tuple[tuple[int, Event], ...]] = [()]
    moves: list[dict[tuple[int, Event], int]] = []
    for number, mask in enumerate(order):  # grows while it is walked
        row: dict[tuple[int, Event], int] = {}
        for fill in (1, 0):
            for event in Event:
                after = subsets.step(mask, event, fill)
                if after not in numbers:
                    numbers[after] = len(order)
                    order.append(after)
                    words.append((*words[number], (fill, event)))
                row[fill, event] = numbers[after]
        moves.append(row)
    outputs = [(subsets.stale(mask, 0), subsets.stale(mask, 1)) for mask in order]
    classes = _merge(outputs, moves)
    count = max(classes) + 1
    first = [classes.index(c) for c in range(count)]
    return Automaton(
        platform=platform,
        delta=tuple(
            tuple(
                tuple(classes[moves[first[c]][fill, event]] for c in range(count))
                for event in Event
            )
            for fill in (0, 1)
        ),
        stale=tuple(tuple(outputs[first[c]][fill] for c in range(count)) for fill in (0, 1)),
        subset_states=len(order),
        words=tuple(words[first[c]] for c in range(count)),
    )


def _merge(outputs: list[_T], moves: list[dict[_E, int]]) -> list[int]:
    """Return the class of each state: Moore's partition refinement, classes in order of discovery."""
    classes = _numbered(outputs)
    while True:
        refined = _numbered(
            [
                (classes[state], tuple(classes[after] for after in row.values()))
                for state, row in enumerate(moves)
            ]
        )
        if max(refined) == max(classes):
            return refined
        classes = refined


def _numbered(items: Sequence[_T]) -> list[int]:
    numbers: dict[_T, int] = {}
    return [numbers.setdefault(item, len(numbers)) for item in items]
