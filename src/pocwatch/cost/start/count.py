"""A policy's operations at each event, counted: the same objects that `pocwatch check` judges."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocwatch.arch.ops import Op
from pocwatch.cost.counts import Counts
from pocwatch.cost.start.caches import Dirty, Segment, capacity, reached_bytes
from pocwatch.cost.start.events import Event, Written
from pocwatch.kvm.policy import AtEl2, Occasion, Operation, Policy
from pocwatch.platforms import Platform

POC_BY_VA = frozenset({Op.DC_CVAC, Op.DC_CVAP, Op.DC_CIVAC, Op.DC_IVAC})
SET_WAY = frozenset({Op.DC_CSW, Op.DC_CISW, Op.DC_ISW})
OUTER = frozenset({Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH})
_HOST = (Written.BEFORE, Written.BOTH)
_GUEST = (Written.AFTER, Written.BOTH)


def plain(operation: Operation) -> Op:
    """Return what is executed, wherever."""
    return operation.op if isinstance(operation, AtEl2) else operation


@dataclass(slots=True)
class _Range:
    """What a hook's operations work on: so many times, so many bytes together, some of them dirty."""

    times: int
    lines: int
    dirty_bytes: int
    segment: Segment | None


class Counter:
    """Counts one policy over the events of one VM, in order: what was cleaned stays clean."""

    def __init__(self, policy: Policy, platform: Platform) -> None:
        """A platform with FEAT_S2FWB has IDC, too: docs/decisions/0007."""
        self.policy = policy
        self.platform = replace(platform, idc=True) if platform.stage2_forces_wb else platform
        self.line_bytes = platform.dminline_bytes
        self.dirty = Dirty(capacity(platform))

    def operations(self, event: Event, hook: str) -> tuple[Op, ...]:
        """Return what the policy does in one of an event's hooks. Raises PolicyError."""
        occasion = Occasion(self.platform, event.access, event.caches_on, event.executable)
        return tuple(plain(o) for o in self.policy.operations(hook, occasion))

    def count(self, event: Event) -> Counts:
        """Return what all times of an event add, and remember what it leaves dirty."""
        span = event.size_bytes if event.same_range else event.times * event.size_bytes
        if event.written in _HOST:
            found = event.times * self.dirty.just_written(event.size_bytes)
        else:
            found = self.dirty.found(event.segment, span, event.of_bytes)
        lines = event.times * (event.size_bytes // self.line_bytes)
        worked = _Range(event.times, lines, found, event.segment)
        counts = event.added
        for hook in event.hooks:
            for op in self.operations(event, hook):
                counts += self._of(op, worked, fresh=event.written in _HOST)
        if event.written in _HOST and event.segment is not None:
            self.dirty.write(event.segment, worked.dirty_bytes)
        if event.written in _GUEST and event.caches_on and event.segment is not None:
            self.dirty.write(event.segment, span)
        return counts

    def each(self, event: Event, hooks: tuple[str, ...], *, first: bool) -> Counts:
        """Return what one vCPU's fault adds, of some hooks; those after the first find nothing dirty."""
        found = 0
        if first and event.written in _HOST:
            found = self.dirty.just_written(event.size_bytes)
        worked = _Range(1, event.size_bytes // self.line_bytes, found, event.segment)
        counts = Counts()
        for hook in hooks:
            for op in self.operations(event, hook):
                counts += self._of(op, worked, fresh=True)
        return counts

    def _of(self, op: Op, worked: _Range, *, fresh: bool) -> Counts:
        """Return what one operation of a hook counts; what it cleans is not dirty any more."""
        if op in POC_BY_VA:
            dirty = worked.dirty_bytes // self.line_bytes
            if not fresh:
                self.dirty.clean(worked.segment, worked.dirty_bytes)
            worked.dirty_bytes = 0
            return Counts(dc_poc_dirty=dirty, dc_poc_absent=worked.lines - dirty)
        if op is Op.DC_CVAU:
            return Counts(dc_pou=worked.lines)
        if op is Op.IC_IVAU:
            return Counts(ic_ivau=worked.lines)
        if op in SET_WAY:
            return self._whole(worked, reached_bytes(self.platform, "set_way"))
        if op in OUTER:
            return self._whole(worked, reached_bytes(self.platform, "outer"))
        if op is Op.IC_IALLU:
            return Counts(ic_iallu=worked.times)
        if op is Op.IC_IALLUIS:
            return Counts(ic_ialluis=worked.times)
        return Counts(dsb=worked.times) if op is Op.DSB else Counts()

    def _whole(self, worked: _Range, size_bytes: int) -> Counts:
        """Return the counts of loops over whole caches."""
        cleaned = min(size_bytes, self.dirty.total_bytes)
        self.dirty.clean(None, cleaned)
        lines = worked.times * (size_bytes // self.line_bytes)
        return Counts(set_way_lines=lines, bytes_cleaned=cleaned)
