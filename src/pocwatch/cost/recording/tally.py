"""Counts what a policy's hooks do to pages of a guest.

A page is dirty, line by line, from its allocation on, and again after the guest used it with caches on,
until it is cleaned to the PoC: an upper bound, as caches may have evicted lines. What is not dirty is
counted as absent. Operations by VA over several stage 2 entries are counted with one barrier for each, as
Linux walks its tables.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Op, Point
from pocwatch.cost.counts import Counts
from pocwatch.kvm.policy import AtEl2, Occasion, Operation, Policy
from pocwatch.platforms import Platform

PAGE_BYTES = 4096
_BARRIERS = (Op.DMB, Op.DSB, Op.ISB)


class Tally:
    """Counts of one policy, and the dirty lines of its pages."""

    def __init__(self, policy: Policy, platform: Platform) -> None:
        self._platform = platform
        self._hook = functools.cache(policy.operations)
        self.lines_of_page = PAGE_BYTES // platform.dminline_bytes
        self.counts: Counter[str] = Counter()  # of cost.counts.Counts
        self.operations: Counter[Op] = Counter()  # by VA: lines
        self.occasions: Counter[str] = Counter()  # hooks that did something
        self.pages: Counter[str] = Counter()  # all that they were about
        self.dirty: dict[tuple[int, int], int] = {}  # lines, by VM and IPA of a page

    def total(self) -> Counts:
        """Return what has a cost."""
        return Counts(**self.counts)

    def do(self, hook: str, vm: int, entries: Sequence[Iterable[int]], occasion: Occasion) -> None:
        """Count a hook's operations over pages, given as IPAs by stage 2 entry."""
        operations = self._hook(hook, occasion)
        if not operations:
            return
        pages = [(vm, page) for entry in entries for page in entry]
        self.occasions[hook] += 1
        self.pages[hook] += len(pages)
        times = 1
        for op in map(_plain, operations):
            if op in _BARRIERS:
                self.operations[op] += times
                self.counts["dsb"] += times * (op is Op.DSB)
            elif _by_va(op):
                times = len(entries)
                self._by_va(op, pages)
            else:
                times = 1
                self._whole(op)

    def _by_va(self, op: Op, pages: Sequence[tuple[int, int]]) -> None:
        lines = len(pages) * self.lines_of_page
        self.operations[op] += lines
        if op is Op.IC_IVAU:
            self.counts["ic_ivau"] += lines
        elif DATA_MAINTENANCE[op].point is Point.POU:
            self.counts["dc_pou"] += lines
        else:
            dirty = sum(self.dirty.get(page, 0) for page in pages)
            self.counts["dc_poc_dirty"] += dirty
            self.counts["dc_poc_absent"] += lines - dirty
            self.dirty.update(dict.fromkeys(pages, 0))

    def _whole(self, op: Op) -> None:
        self.operations[op] += 1
        if op is Op.IC_IALLU:
            self.counts["ic_iallu"] += 1
        elif op is Op.IC_IALLUIS:
            self.counts["ic_ialluis"] += 1
        else:
            reached = self._platform.reached("set_way" if op in DATA_MAINTENANCE else "outer")
            size_kib = sum(self._platform.levels[n].geometry.size_kib for n in reached)
            self.counts["set_way_lines"] += size_kib * 1024 // self._platform.dminline_bytes


def _plain(operation: Operation) -> Op:
    return operation.op if isinstance(operation, AtEl2) else operation


def _by_va(op: Op) -> bool:
    return op is Op.IC_IVAU or (op in DATA_MAINTENANCE and DATA_MAINTENANCE[op].by is By.VA)
