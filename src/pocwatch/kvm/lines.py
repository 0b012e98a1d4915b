"""Lines of the modelled pages, as small integers: the caches' whole part in a state.

A page is one line with one cell and one instruction: caches may evict and fill lines in any order, so
lines do not influence each other (docs/model-checkers.md gives the argument and its limits). The
automaton and the pending layer of `line` do the rest; this only gives equal lines equal numbers and
remembers every step once taken.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from pocwatch.arch.ops import Kind, Op
from pocwatch.line.fetch import KINDS, FetchSide
from pocwatch.line.line import Line, Rules, fetch_after, stale_sources, step_cell
from pocwatch.line.pending import PendingCell
from pocwatch.line.table import automaton_of
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

_HOST_KINDS = frozenset({Kind.WB})
_ALL_KINDS = frozenset(KINDS)


def _sources_of(kinds: frozenset[Kind]) -> Rules:
    return Rules(step_cell, fetch_after, lambda cell, pou: stale_sources(cell, pou) & kinds)


_RULES = {kinds: _sources_of(kinds) for kinds in (_HOST_KINDS, _ALL_KINDS)}
MAX_PES = 2  # more PEs add nothing: an agent's PE is its own or another's
NEIGHBOUR = 8  # byte offset of another cell of the line
REST = 0  # the number of a line at rest: memory latest, copies at most clean


class InstructionSide(enum.Enum):
    """Whether a model follows what instruction caches hold."""

    FOLLOWED = "followed"
    LEFT_OUT = "left out"


class _Entry(NamedTuple):
    """What one number stands for. `kinds`: with which attributes the page may be fetched from."""

    cell: PendingCell
    fetch: FetchSide | None
    kinds: frozenset[Kind]


class Lines:
    """Numbered lines of a platform, seen by `pes` PEs that all have their caches on.

    The host may run on every PE at any time, so caches may fill at any time. The host's own mappings
    are cacheable: I-caches take Non-cacheable copies only while a guest may execute from the page.
    """

    def __init__(self, platform: Platform, pes: int, instructions: InstructionSide) -> None:
        self.platform = platform
        self.instructions = instructions
        cell = PendingCell.initial(automaton_of(platform), pes)
        followed = instructions is InstructionSide.FOLLOWED
        fetch = FetchSide(frozenset(range(pes)), platform.dic) if followed else None
        self._entries = [_Entry(cell, fetch, _HOST_KINDS)]
        self._numbers = {self._entries[REST]: REST}
        # By identity of the step, which the value keeps alive: hashing a step costs more than the rest.
        self._after: dict[int, tuple[Step, dict[int, int]]] = {}
        self._verdicts: dict[tuple[int, int], tuple[Step, str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def _number(self, entry: _Entry) -> int:
        found = self._numbers.setdefault(entry, len(self._entries))
        if found == len(self._entries):
            self._entries.append(entry)
        return found

    def _line(self, entry: _Entry) -> Line[PendingCell]:
        fetches = {} if entry.fetch is None else {0: entry.fetch}
        return Line(self.platform, {0: entry.cell}, fetches)

    def _sources(self, entry: _Entry) -> frozenset[Kind]:
        return stale_sources(entry.cell, self.platform.pou) & entry.kinds

    def after(self, number: int, step: Step) -> int:
        """Return the line after a step."""
        known = self._after.get(id(step))
        if known is None:
            known = self._after[id(step)] = (step, {})
        row = known[1]
        found = row.get(number)
        if found is None:
            entry = self._entries[number]
            line = self._line(entry).step(step, _RULES[entry.kinds])
            after = entry._replace(cell=line.cells[0], fetch=line.fetches.get(0))
            found = row[number] = self._number(after)
        return found

    def executable(self, number: int, by_guests: bool) -> int:
        """Return the line once a guest may, or no longer may, execute from the page.

        Before it could, no PE's pipeline held an instruction of it in a guest; entering one is a context
        synchronisation event. What its I-cache holds is another matter.
        """
        entry = self._entries[number]
        begins = by_guests and entry.kinds is not _ALL_KINDS
        entry = entry._replace(kinds=_ALL_KINDS if by_guests else _HOST_KINDS)
        if entry.fetch is not None:
            fetch = entry.fetch.sourced(self._sources(entry))
            for pe in sorted(fetch.pes) if begins else ():
                fetch = fetch.synchronise(pe)
            entry = entry._replace(fetch=fetch)
        return self._number(entry)

    def without_fetched(self, number: int) -> int:
        """Return the line with nothing in any instruction cache: no entry under a new VMID."""
        entry = self._entries[number]
        if entry.fetch is None:
            return number
        empty = FetchSide(entry.fetch.pes, entry.fetch.dic).sourced(self._sources(entry))
        return self._number(entry._replace(fetch=empty))

    def verdict(self, number: int, step: Step) -> str:
        """Return "fresh", "stale" or "unsynced" for a read."""
        key = (number, id(step))
        found = self._verdicts.get(key)
        if found is None:
            line = self._line(self._entries[number])
            found = self._verdicts[key] = (step, line.verdict(step))
        return found[1]

    def cell(self, number: int) -> PendingCell:
        """Return the data side of the line of that number."""
        return self._entries[number].cell


# Steps are made once: the search takes millions, and `Lines.after` knows them by identity.
_LOADS = [[Step(Op.LD, pe, kind=kind) for kind in Kind] for pe in range(MAX_PES)]
_STORES = [
    [[Step(Op.ST, pe, kind=kind, offset=offset) for kind in Kind] for pe in range(MAX_PES)]
    for offset in (0, NEIGHBOUR)
]
_FETCHES = [[Step(Op.IF, pe, kind=kind) for kind in Kind] for pe in range(MAX_PES)]
_OF_PES = [[Step(op, pe) for op in Op] for pe in range(MAX_PES)]
_DMA = {
    (op, coherent): Step(op, 0, device=True, coherent=coherent)
    for op in (Op.DMA_RD, Op.DMA_WR)
    for coherent in (False, True)
}


def load(pe: int, kind: Kind) -> Step:
    """Return a data read of a PE."""
    return _LOADS[pe][kind]


def store(pe: int, kind: Kind, offset: int = 0) -> Step:
    """Return a data write of a PE; offset NEIGHBOUR is another cell of the line."""
    return _STORES[offset != 0][pe][kind]


def fetch(pe: int, kind: Kind) -> Step:
    """Return an instruction fetch of a PE."""
    return _FETCHES[pe][kind]


def step(op: Op, pe: int) -> Step:
    """Return a maintenance instruction or barrier of a PE."""
    return _OF_PES[pe][op]


def dma(op: Op, *, coherent: bool) -> Step:
    """Return an access of a device."""
    return _DMA[op, coherent]
