"""A line under a word of steps: one cell per 8 bytes that the word reads, one fetch side per instruction.

Generic over how a cell is represented: `model.Cell` (literal, slow) or `pending.PendingCell` (table).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, Kind, Op
from pocwatch.line.fetch import KINDS, FetchSide
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

CELL_BYTES = 8
INSTRUCTION_BYTES = 4


class CellLike(Protocol):
    """What a representation of a cell offers; see `model.Cell` for the rules."""

    def store(self, pe: int | None, kind: Kind, *, own: bool) -> Self: ...
    def load(self, pe: int | None, kind: Kind) -> Self: ...
    def walk(self, kind: Kind) -> Self: ...
    def dma_write(self, *, coherent: bool, own: bool) -> Self: ...
    def issue(self, pe: int, op: Op) -> Self: ...
    def outer(self, op: Op) -> Self: ...
    def dmb(self, pe: int) -> Self: ...
    def dsb(self, pe: int) -> Self: ...
    def mmu(self, pe: int, *, on: bool) -> Self: ...
    def reads(self, kind: Kind) -> bool: ...
    def fetch_source(self, kind: Kind, pou: int) -> bool: ...


C = TypeVar("C", bound=CellLike)


def is_read(step: Step) -> bool:
    """Return whether a step is judged."""
    return step.op in (Op.LD, Op.TW, Op.IF, Op.DMA_RD)


def read_kind(step: Step) -> Kind:
    """Return the attribute with which a read looks at the line; coherent DMA snoops the caches."""
    if step.kind is not None:
        return step.kind
    return Kind.WB if step.coherent else Kind.NC


def step_cell(cell: C, step: Step, *, own: bool) -> C:
    """Return the cell after a step; `own`: the step touches this cell of the line."""
    pe, op = step.agent, step.op
    if op is Op.ST:
        assert step.kind is not None
        return cell.store(pe, step.kind, own=own)
    if op is Op.DC_ZVA:
        return cell.store(pe, Kind.WB, own=True)
    if op is Op.LD:
        return cell.load(pe, read_kind(step))
    if op is Op.TW:
        return cell.walk(read_kind(step))
    if op is Op.DMA_RD:
        return cell.load(None, read_kind(step))
    if op is Op.DMA_WR:
        return cell.dma_write(coherent=bool(step.coherent), own=own)
    if op in DATA_MAINTENANCE:
        return cell.issue(pe, op)
    if op in (Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH):
        return cell.outer(op)
    if op is Op.DMB:
        return cell.dmb(pe)
    if op is Op.DSB:
        return cell.dsb(pe)
    if op in (Op.MMU_ON, Op.MMU_OFF):
        return cell.mmu(pe, on=op is Op.MMU_ON)
    return cell  # IF, IC and ISB concern the instruction side


@dataclass(frozen=True, slots=True)
class Line(Generic[C]):
    """The cells of a line that matter, by index, and the fetch sides of instructions, by index."""

    platform: Platform
    cells: dict[int, C]
    fetches: dict[int, FetchSide]

    @staticmethod
    def initial(platform: Platform, cell: C, reads: Iterable[Step], pes: int) -> Line[C]:
        """Return a line at rest with the cells and instructions that `reads` look at."""
        reads = list(reads)
        everyone = frozenset(range(pes))
        return Line(
            platform,
            {step.offset // CELL_BYTES: cell for step in reads},
            {
                step.offset // INSTRUCTION_BYTES: FetchSide(everyone, platform.dic)
                for step in reads
                if step.op is Op.IF
            },
        )

    def verdict(self, step: Step) -> str:
        """Return "stale", "unsynced" or "fresh" for a read at this point."""
        kind = read_kind(step)
        if step.op is Op.IF:
            return self.fetches[step.offset // INSTRUCTION_BYTES].verdict(step.agent, kind)
        cell = self.cells[step.offset // CELL_BYTES]
        if step.op is Op.LD:  # the access sees its own PE's earlier maintenance as ordered
            cell = cell.load(step.agent, kind)
        return "stale" if cell.reads(kind) else "fresh"

    def step(self, step: Step, rules: Rules | None = None) -> Line[C]:
        """Return the line after a step; `rules` may be memoised versions of this module's."""
        rules = rules or RULES
        touched = step.offset // CELL_BYTES
        cells: dict[int, C] = {
            index: rules.cell_after(cell, step, own=index == touched)
            for index, cell in self.cells.items()
        }
        fetches = {
            index: rules.fetch_after(
                fetch,
                step,
                index,
                rules.stale_sources(
                    cells[index * INSTRUCTION_BYTES // CELL_BYTES], self.platform.pou
                ),
            )
            for index, fetch in self.fetches.items()
        }
        return Line(self.platform, cells, fetches)


def stale_sources(cell: CellLike, pou: int) -> frozenset[Kind]:
    """Return the fetch kinds whose source behind the I-cache may be stale."""
    return frozenset(kind for kind in KINDS if cell.fetch_source(kind, pou))


def fetch_after(
    fetch: FetchSide, step: Step, index: int, sources: frozenset[Kind]
) -> FetchSide:
    """Return instruction `index`'s fetch side after a step; `sources`: stale ones after the step."""
    own = step.offset // CELL_BYTES == index * INSTRUCTION_BYTES // CELL_BYTES
    op = step.op
    if op is Op.DC_ZVA or (op in (Op.ST, Op.DMA_WR) and own):
        fetch = fetch.written()
    elif op in INSTRUCTION_MAINTENANCE:
        fetch = fetch.invalidate(step.agent, op)
    elif op is Op.DSB:
        fetch = fetch.dsb(step.agent)
    elif op is Op.ISB:
        fetch = fetch.synchronise(step.agent)
    elif op is Op.IF and step.offset // INSTRUCTION_BYTES == index:
        fetch = fetch.fetched(step.agent, read_kind(step))
    return fetch.sourced(sources)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a cell and a fetch side move with a step; memoised where words are many."""

    cell_after: Callable[..., Any]
    fetch_after: Callable[..., FetchSide]
    stale_sources: Callable[..., frozenset[Kind]]


RULES = Rules(step_cell, fetch_after, stale_sources)
