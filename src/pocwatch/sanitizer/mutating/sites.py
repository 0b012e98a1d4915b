"""Call sites of maintenance in a trace: an operation, and who wanted it.

The instruction itself is in a primitive that many share (`dcache_clean_inval_poc`), and that is often
called through another (`clean_dcache_guest_page`). So a call site is the stack from the instruction up to
the first function that is no primitive. Primitives are told by their names; without symbols, or where the
instruction is not in a primitive, the call site is the instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.stacks import Stacks, function, where
from pocwatch.trace import schema
from pocwatch.trace.raw import NO_ADDRESS, Mark
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import Frame

OPS = frozenset(DATA_MAINTENANCE) | INSTRUCTION_MAINTENANCE
_PRIMITIVE = re.compile(
    r"([di]_?cache|^_*caches_|^_*flush_(range|cache|area)|_po[cu]$|^_*(clean|inval)\w*_range$)"
)
"""Names in Linux (`dcache_clean_poc`, `caches_clean_inval_pou`, `icache_inval_all_pou`,
`sync_icache_dcache`), U-Boot, TF-A and Xen (`flush_dcache_range`, `clean_dcache_range`)."""
_ROW = ("op", "vm", "stack_id", "pc", "symbol")


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A call site: the operation, whether a guest does it, and the functions, innermost first.

    `frames` are `name+0xoffset` or, where no symbol is known, the PC; the last is who wanted it.
    """

    op: str
    vm: bool
    frames: tuple[str, ...]


def primitive(name: str | None) -> bool:
    """Say whether a function only does maintenance for others, as its name tells."""
    return bool(name and _PRIMITIVE.search(name))


def frames_of(trace: Trace) -> list[Frame]:
    """Return the frames of all call stacks of a trace; that of number n at n - 1."""
    import pyarrow.compute as pc

    wanted = ["stack_id", "pc", "pc_pa", "ipa", "writer", "el", "link"]
    found: dict[int, Frame] = {}
    for generation in range(trace.generations):
        table = trace.shard(generation, None)
        if table is None:
            continue
        table = table.filter(pc.equal(table["op"], schema.MARKS[Mark.STACK])).select(wanted)
        for row in table.to_pylist():
            found[row["stack_id"]] = Frame(
                pc=row["pc"],
                pc_pa=NO_ADDRESS if row["pc_pa"] is None else row["pc_pa"],
                pc_ipa=NO_ADDRESS if row["ipa"] is None else row["ipa"],
                caller=row["writer"] or 0,
                el=row["el"],
                link=row["link"],
            )
    return [found.get(n, Frame()) for n in range(1, max(found, default=0) + 1)]


class Finder:
    """Finds the call sites of a trace's rows."""

    def __init__(self, locator: Locator, frames: Sequence[Frame]) -> None:
        locator.settle([where(frame) for frame in frames])
        self._stacks = Stacks(locator, frames)
        self._known: dict[tuple[Any, ...], Site] = {}

    def sites(self, table: Any) -> dict[Site, Any]:
        """Return the `seq` of each call site's operations in a table of rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        spelled = pa.array(sorted(op.spelling for op in OPS))
        table = table.select(["seq", *_ROW])
        table = table.filter(pc.is_in(table["op"].cast(pa.string()), spelled))
        columns = [table[name].to_pylist() for name in _ROW]
        found: dict[Site, list[int]] = {}
        for seq, row in zip(table["seq"].to_pylist(), zip(*columns, strict=True), strict=True):
            site = self._known.get(row)
            if site is None:
                site = self._known[row] = self._site(*row)
            found.setdefault(site, []).append(seq)
        return {site: np.array(each, np.uint64) for site, each in found.items()}

    def _site(
        self, op: str, vm: bool, stack: int | None, pc: int | None, symbol: str | None
    ) -> Site:
        names = tuple(self._names(stack)) if stack else ()
        return Site(op, vm, names or (symbol or ("?" if pc is None else f"{pc:#x}"),))

    def _names(self, stack: int) -> Iterator[str]:
        """Yield the stack's frames up to the first function that is no primitive."""
        for frame in self._stacks.of(stack):
            yield frame.symbol or f"{frame.pc:#x}"
            if not primitive(function(frame.symbol)):
                return
