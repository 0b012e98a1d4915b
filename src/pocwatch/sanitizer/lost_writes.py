"""Latest data that may be gone: what should have been done, and what did it.

No maintenance brings lost data back, so that the line model has no repair for the state it is in;
the history tells which of two ways it took. A dirty line that is written back over newer data in
memory: facts C4, C10. An invalidate that discards data not yet cleaned: facts C4, C7.
"""

from __future__ import annotations

from collections.abc import Sequence

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Kind, Op, Point
from pocwatch.sanitizer.findings import Event
from pocwatch.trace.records import Flag

_DISCARDS = {  # an operation that only invalidates -> what cleans and invalidates as far
    Op.DC_IVAC: Op.DC_CIVAC,
    Op.DC_ISW: Op.DC_CIVAC,  # by set/way reaches one PE's caches only: no substitute (C5)
    Op.OUTER_INV: Op.OUTER_FLUSH,
}
_CLEANS = {op for op, operation in DATA_MAINTENANCE.items() if operation.clean} | {
    Op.OUTER_CLEAN,
    Op.OUTER_FLUSH,
}
_WRITES = frozenset({Op.ST, Op.DC_ZVA, Op.DMA_WR})


def _covers(event: Event, cell: int) -> bool:
    return not event.cells or bool(event.cells >> cell & 1)


def _around_caches(writer: Event) -> bool:
    return writer.op is Op.DMA_WR or writer.kind is not Kind.WB


def _dirtying(event: Event) -> bool:
    """Say whether an event left the line dirty; a write to any of its bytes does."""
    return event.op in _WRITES and not _around_caches(event)


def _write_text(writer: Event) -> str:
    if writer.op is Op.DMA_WR:
        return "device's write"
    return "write-through write" if writer.kind is Kind.WT else "non-cacheable write"


def _discarding(writer: Event | None, history: Sequence[Event], cell: int) -> Event | None:
    """Return the invalidate that may have discarded a write to a cache, None if there is none."""
    since = 0 if writer is None else writer.seq
    return next(
        (
            event
            for event in history
            if event.op in _DISCARDS
            and event.seq > since
            and Flag.DROPPED not in event.flags
            and _covers(event, cell)
        ),
        None,
    )


def repair(writer: Event | None, history: Sequence[Event], cell: int) -> list[str]:
    """Return what should have been done before the data was lost, as steps.

    `writer` wrote the latest data of `cell`; None when that is not known.
    """
    if writer is not None and _around_caches(writer):
        earlier = any(_dirtying(event) and event.seq < writer.seq for event in history)
        later = any(_dirtying(event) and event.seq > writer.seq for event in history)
        if later and not earlier:  # of other bytes of the line, in a copy from before the write
            return [f"after the {_write_text(writer)}: dc civac", "dsb"]
        return [f"before the {_write_text(writer)}: dc civac", "dsb"]
    culprit = _discarding(writer, history, cell)
    if culprit is not None:
        return [f"{_DISCARDS[culprit.op].spelling} instead of {culprit.op.spelling}", "dsb"]
    return ["before the caches are bypassed or invalidated: dc civac", "dsb"]


def why_not_enough(
    event: Event, writer: Event | None, history: Sequence[Event], cell: int
) -> str | None:
    """Say what one maintenance operation had to do with the loss, None for nothing special."""
    if not _covers(event, cell):
        return None
    operation = DATA_MAINTENANCE.get(event.op)
    if writer is None or not _around_caches(writer):
        culprit = _discarding(writer, history, cell)
        if culprit is not None and event.seq > culprit.seq:
            return f"came after the {culprit.op.spelling} that may have discarded the latest data"
        return None
    newer = f"the newer {_write_text(writer)} in memory"
    if event.seq > writer.seq:
        if operation is not None and operation.point is Point.POU:
            return None
        if event.op in _CLEANS:  # C10
            return f"may have written older dirty data over {newer}"
        if event.op in _DISCARDS:  # C7
            return (
                "may have been executed as clean and invalidate, which writes older dirty data "
                f"over {newer}"
            )
        return None
    dirtied = [e.seq for e in history if _dirtying(e) and e.seq < writer.seq]
    if dirtied and event.seq < dirtied[-1]:
        return "came before the write that left the line dirty"
    if operation is not None and operation.point is Point.POU:
        return (
            "cleaned to the Point of Unification only: caches beyond it stayed dirty, to be "
            f"written back over {newer}"
        )
    if operation is not None and operation.by is By.SET_WAY:  # C2, C5
        return (
            f"is by set/way: it works on the caches of P{event.pe} only; dirty lines elsewhere "
            f"are written back over {newer}"
        )
    return None
