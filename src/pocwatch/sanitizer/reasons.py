"""Why maintenance was not enough for an access, and which rule of the architecture was broken."""

from __future__ import annotations

from collections.abc import Sequence

from pocwatch.arch import manual
from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, By, Kind, Op, Point
from pocwatch.sanitizer import lost_writes
from pocwatch.sanitizer.findings import Access, Event
from pocwatch.trace.records import FindingKind, Flag

_KIND_TEXT = {
    Kind.WB: "Normal Write-Back",
    Kind.WT: "Normal Write-Through",
    Kind.NC: "Normal Non-cacheable",
    Kind.DEV: "Device",
}


def kind_text(kind: Kind) -> str:
    """Return the memory type in the manual's words."""
    return _KIND_TEXT[kind]


def why_not_enough(
    kind: FindingKind,
    event: Event,
    access: Access,
    writer: Event | None,
    history: Sequence[Event],
    cell: int,
) -> str:
    """Say why one maintenance operation did not make the access see the latest data."""
    rule = f" {event.rule!r}" if event.rule else ""
    if Flag.DROPPED in event.flags:
        return f"dropped by rule{rule}: the machine forgot it"
    prefix = ""
    if Flag.WEAKENED in event.flags:
        prefix = f"weakened by rule{rule} to {event.op.spelling}; "
    elif Flag.UPGRADED in event.flags:  # C7
        by_va = event.op is Op.DC_CIVAC
        written, control = ("ivac", "HCR_EL2.VM") if by_va else ("isw", "HCR_EL2.VM or SWIO")
        prefix = f"is a dc {written}, executed as clean and invalidate under {control}; "
    reason = None
    if kind is FindingKind.LOST_WRITE:
        reason = lost_writes.why_not_enough(event, writer, history, cell)
    return prefix + (reason or _reason(event, access, writer, history, cell))


def _reason(
    event: Event, access: Access, writer: Event | None, history: Sequence[Event], cell: int
) -> str:
    if writer is not None and event.seq < writer.seq:
        return "came before the write, so it did not cover the new data"
    if event.cells and not event.cells >> cell & 1:
        return "its range did not cover the stale bytes"
    if access.op is Op.IF and event.op in INSTRUCTION_MAINTENANCE:
        if event.op is Op.IC_IALLU and event.pe != access.pe:
            return f"invalidates the instruction cache of P{event.pe} only; P{access.pe} fetched"
        if access.kind is not Kind.WB and (writer is None or writer.kind is Kind.WB):
            return (
                "empties instruction caches, which refill from the Point of Coherency: memory "
                "must be cleaned first"
            )
    elif event.op in INSTRUCTION_MAINTENANCE:
        return "invalidates instruction caches only; the data caches still hide the latest data"
    operation = DATA_MAINTENANCE.get(event.op)
    if operation is not None:
        if operation.by is By.SET_WAY:
            return (  # C2, C5
                f"is by set/way: it works on the caches of P{event.pe} only, lines may have moved "
                "to another PE's, and system caches are not reached"
            )
        if operation.point is Point.POU and access.kind is not Kind.WB:
            return (
                "cleans to the Point of Unification only; this access reads at the Point of "
                f"Coherency, being {kind_text(access.kind)}"
            )
        if not operation.clean and writer is not None and writer.kind is Kind.WB:
            return "invalidates without cleaning: it may discard the latest data, not publish it"
        if not operation.invalidate and writer is not None and writer.kind is not Kind.WB:
            return "cleans but does not invalidate: an old copy stays in the caches"
    if not _completed(event, history):
        return f"no DSB by P{event.pe} after it: it may not have completed"
    if access.op is Op.IF and event.op in DATA_MAINTENANCE:
        return "makes memory right, but an instruction cache may still hold the old instruction"
    return "did not make the latest data visible to this access"


def missing_dsb(event: Event, writer: Event | None, history: Sequence[Event]) -> bool:
    """Say whether this is maintenance of the latest data that may not be complete."""
    maintains = event.op in DATA_MAINTENANCE or event.op in INSTRUCTION_MAINTENANCE
    since = writer.seq if writer else 0
    lasts = maintains and Flag.DROPPED not in event.flags and event.seq > since
    return lasts and not _completed(event, history)


def _completed(event: Event, history: Sequence[Event]) -> bool:
    return Flag.COMPLETED in event.flags or any(
        later.op is Op.DSB and later.pe == event.pe and later.seq > event.seq for later in history
    )


def rule_text(kind: FindingKind, access: Access, writer: Event | None) -> str:
    """Return the architecture's rule that was not followed. Facts C4, C9, C10, C12, C14."""
    if kind is FindingKind.UNSYNCED_FETCH:
        return manual.UNSYNCED
    if kind is FindingKind.LOST_WRITE:
        return manual.LOST_WRITE
    if kind is FindingKind.REDUNDANT:
        return "the operation left the state of every cell of the line as it was"
    if kind is FindingKind.STALE_FETCH and access.kind is Kind.WB:
        return manual.STALE_FETCH
    reader = {
        FindingKind.STALE_WALK: "a translation table walk",
        FindingKind.STALE_FETCH: "an instruction fetch",
        FindingKind.DMA_STALE_READ: "a device's read",
    }.get(kind, "a read")
    return manual.mismatched(
        reader,
        written_cacheable=writer is None or writer.kind is Kind.WB,
        read_cacheable=access.kind is Kind.WB,
    )
