"""Mutants of one shard of a trace: the maintenance of one call site left out, judged on each platform.

Lines are independent, so a mutant needs only the records of those lines that its call site maintains, and
what is of no line (barriers). What it gives is compared with what the same lines give unchanged.
Maintenance by set/way and of whole instruction caches concerns every line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.mutating.sites import OPS, Finder, Site, frames_of
from pocwatch.sanitizer.recording.names import unpacked
from pocwatch.sanitizer.replaying import judge
from pocwatch.trace import schema
from pocwatch.trace.decode import Decoder
from pocwatch.trace.raw import NO_ADDRESS, Mark
from pocwatch.trace.reader import Trace
from pocwatch.trace.records import Finding

_OPS = np.array(sorted(int(op) for op in OPS))
_REFERRED_TO = np.array([Mark.SITE, Mark.STACK, Mark.END])  # their `pa` is of code


@dataclass(frozen=True, slots=True)
class Harm:
    """What is found, on one platform, only without a call site's maintenance.

    `times` counts reads; `first` is the earliest finding, as the bytes of a record, at `seq`.
    """

    times: int
    seq: int
    first: bytes


@dataclass(frozen=True, slots=True)
class Mutant:
    """A call site in a shard. `lines`: different ones; 0 for maintenance of no line.

    `harms`: by the position of the platform, without those where nothing is found.
    """

    site: Site
    operations: int
    lines: int
    harms: Mapping[int, Harm] = field(default_factory=dict)


def mutants(task: judge.Task) -> list[Mutant]:
    """Return the call sites of a shard, each judged on each of the task's platforms.

    What is of no line is counted in the first shard only. A finding that the recording has anyway is
    none of a mutant's.
    """
    with Trace(Path(task.trace)) as trace:
        shard = _Shard(task, trace)
        return [shard.mutant(site, times) for site, times in shard.sites()]


class _Shard:
    """A shard's records, decoded once, and what they give unchanged."""

    def __init__(self, task: judge.Task, trace: Trace) -> None:
        self._task = task
        self._machine = trace.info.machine
        programs = unpacked(trace.info.extra["programs"]) if "programs" in trace.info.extra else []
        finder = Finder(Locator(programs), frames_of(trace))
        self._times: dict[Site, list[Any]] = {}
        decoder = Decoder(trace.info.ops, trace.info.kinds)
        parts = []
        for generation in range(trace.generations):
            tables = [trace.shard(generation, which) for which in (task.shard, None)]
            found = [table for table in tables if table is not None]
            for table in found:
                for site, times in finder.sites(table).items():
                    self._times.setdefault(site, []).append(times)
            parts.append(decoder.records(found))
        self._records: Any = np.concatenate(parts)
        pa = self._records["pa"]
        self._of_none: Any = (pa == NO_ADDRESS) | np.isin(self._records["op"], _REFERRED_TO)
        lines, number = np.unique(pa // schema.LINE_BYTES, return_inverse=True)
        self._line: Any = number.astype(np.uint32)  # by record; numbered from 0
        self._n_lines = len(lines)
        self._maintenance: Any = np.flatnonzero(np.isin(self._records["op"], _OPS))
        self._seq: Any = self._records["seq"][self._maintenance]
        self._whole: list[Mapping[Hashable, int]] = [
            _counts(self._judged(self._records, table)) for table in task.tables
        ]

    def sites(self) -> Iterator[tuple[Site, Any]]:
        """Yield the call sites, in order, and when their operations were."""
        for site in sorted(self._times):
            yield site, np.concatenate(self._times[site])

    def mutant(self, site: Site, times: Any) -> Mutant:
        """Judge the shard without the operations of these times."""
        out = self._maintenance[np.isin(self._seq, times)]
        on_lines = out[~self._of_none[out]]
        counted = len(out) if self._task.first else len(on_lines)
        touched: Any = np.zeros(self._n_lines, bool)
        touched[self._line[on_lines]] = True
        concerned: Any = np.ones(len(self._records), bool)
        if len(on_lines) == len(out):
            concerned = self._of_none | touched[self._line]
        left: Any = concerned.copy()
        left[out] = False
        changed = self._records[left]
        harms = {}
        for position, table in enumerate(self._task.tables):
            harm = self._harm(self._judged(changed, table), position, table, concerned)
            if harm is not None:
                harms[position] = harm
        return Mutant(site, counted, int(touched.sum()), harms)

    def _harm(
        self, found: Sequence[Finding], position: int, table: bytes, concerned: Any
    ) -> Harm | None:
        before = self._whole[position]
        if any(_key(each) in before for each in found):  # then these lines alone say how often
            before = _counts(self._judged(self._records[concerned], table))
        new = [f for f in found if f.count > before.get(_key(f), 0)]
        if not new:
            return None
        first = min(new, key=lambda f: (f.first, f.access.pc))
        times = sum(f.count - before.get(_key(f), 0) for f in new)
        return Harm(times, first.first, bytes(first))

    def _judged(self, records: Any, table: bytes) -> Sequence[Finding]:
        return judge.left_by(self._task, table, [records], self._machine).findings


def _key(finding: Finding) -> Hashable:
    """Return what makes two findings the same, where no rule took anything away."""
    access = finding.access
    return (
        *(finding.kind, finding.writer.pc, access.pc, access.op, access.kind),
        *(access.el, access.flags),
    )


def _counts(found: Sequence[Finding]) -> Mapping[Hashable, int]:
    counts: Counter[Hashable] = Counter()
    for each in found:
        counts[_key(each)] += each.count
    return counts


