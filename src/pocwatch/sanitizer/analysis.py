"""From the run file's raw records to findings: names, reasons, the repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    By,
    Kind,
    Op,
    Point,
)
from pocwatch.sanitizer.explain import Describe
from pocwatch.sanitizer.findings import Access, Event, Finding, Line, Maintenance
from pocwatch.sanitizer.locate import Locator, Where
from pocwatch.trace import records
from pocwatch.trace.records import NO_ADDRESS, FindingKind, Flag, Why

_PAGE = 4096
_MAINTENANCE = frozenset(DATA_MAINTENANCE) | INSTRUCTION_MAINTENANCE | OUTER_MAINTENANCE
_KIND_TEXT = {
    Kind.WB: "Normal Write-Back",
    Kind.WT: "Normal Write-Through",
    Kind.NC: "Normal Non-cacheable",
    Kind.DEV: "Device",
}


def kind_text(kind: Kind) -> str:
    """Return the memory type in the manual's words."""
    return _KIND_TEXT[kind]


def _address(value: int) -> int | None:
    return None if value == NO_ADDRESS else value


def where(record: records.Access | records.Event) -> Where:
    """Return where a recorded instruction was executed.

    A fetch is recorded at the first instruction of a run of them; the one concerned is at its VA.
    """
    place = Where(record.pc, record.pc_pa, record.pc_ipa, bool(record.flags & Flag.VM))
    if isinstance(record, records.Access) and record.op == Op.IF:
        step = record.va - record.pc
        if record.va & -_PAGE == record.pc & -_PAGE:
            return place.moved(step)
    return place


@dataclass(frozen=True, slots=True)
class Analyst:
    """Turns raw findings into records for people."""

    locator: Locator
    rule_texts: Sequence[str]
    platform: Any
    describe: Describe

    def finding(self, raw: records.Finding) -> Finding:
        """Return one finding with everything that can be said about it."""
        access = self._access(raw.access)
        writer = self._event(raw.writer) if raw.writer.seq else None
        history = tuple(self._event(event) for event in raw.history[: raw.n_history] if event.seq)
        cell = min(raw.cell, records.CELLS_PER_LINE - 1)
        states = tuple(raw.states)
        explained = self.describe(self.platform, states, cell, access.op, access.kind)
        line_size = raw.line_size or 64
        return Finding(
            kind=FindingKind(raw.kind).name.lower().replace("_", "-"),
            count=raw.count,
            instructions=raw.instructions,
            access=access,
            writer=writer,
            maintenance=tuple(
                Maintenance(event, why_not_enough(event, access, writer, history, cell))
                for event in history
                if event.op in _MAINTENANCE or event.flags & (Flag.DROPPED | Flag.WEAKENED)
            ),
            history=history,
            history_truncated=bool(raw.truncated),
            line=Line(access.pa & -line_size, line_size, cell, states, tuple(explained.state_text)),
            rule=rule_text(FindingKind(raw.kind), access, writer),
            repair=tuple(explained.repair),
        )

    def _access(self, raw: records.Access) -> Access:
        place = where(raw)
        return Access(
            op=Op(raw.op),
            kind=Kind(raw.kind),
            size=raw.size,
            pe=raw.pe,
            el=raw.el,
            vm_id=raw.vm_id,
            flags=Flag(raw.flags),
            why=Why(raw.why),
            pc=place.pc,
            pc_pa=_address(place.pc_pa),
            pc_ipa=_address(place.pc_ipa),
            symbol=self.locator.symbol(place),
            insn=raw.insn,
            va=raw.va,
            ipa=_address(raw.ipa),
            pa=raw.pa,
            s1_mair=raw.s1_mair,
            s2_attr=None if raw.s2_attr == 0xFF else raw.s2_attr,
        )

    def _event(self, raw: records.Event) -> Event:
        known_rule = 0 <= raw.rule < len(self.rule_texts)
        return Event(
            seq=raw.seq,
            op=Op(raw.op),
            kind=Kind(raw.kind),
            pe=raw.pe,
            el=raw.el,
            vm_id=raw.vm_id,
            flags=Flag(raw.flags),
            cells=raw.cells,
            pc=raw.pc,
            pc_pa=_address(raw.pc_pa),
            pc_ipa=_address(raw.pc_ipa),
            symbol=self.locator.symbol(where(raw)),
            rule=self.rule_texts[raw.rule] if known_rule else None,
        )


def why_not_enough(
    event: Event, access: Access, writer: Event | None, history: Sequence[Event], cell: int
) -> str:
    """Say why one maintenance operation did not make the access see the latest data."""
    rule = f" {event.rule!r}" if event.rule else ""
    if Flag.DROPPED in event.flags:
        return f"dropped by rule{rule}: the machine forgot it"
    prefix = (
        f"weakened by rule{rule} to {event.op.spelling}; " if Flag.WEAKENED in event.flags else ""
    )
    return prefix + _reason(event, access, writer, history, cell)


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


def _completed(event: Event, history: Sequence[Event]) -> bool:
    return Flag.COMPLETED in event.flags or any(
        later.op is Op.DSB and later.pe == event.pe and later.seq > event.seq for later in history
    )


def rule_text(kind: FindingKind, access: Access, writer: Event | None) -> str:
    """Return the architecture's rule that was not followed. Facts C4, C9, C10, C12, C14."""
    manual = "Arm ARM DDI 0487, "
    if kind is FindingKind.UNSYNCED_FETCH:  # C9, C14
        return (
            manual + '"Ordering and completion of data and instruction cache instructions": after '
            "new code is coherent, the PE that runs it needs a context synchronization event (ISB)"
        )
    if kind is FindingKind.LOST_WRITE:  # C4, C10
        return (
            manual + '"Cache maintenance instructions": an invalidate may lose updates that were '
            "not cleaned, and a dirty line may be written back at any time"
        )
    if kind is FindingKind.REDUNDANT:
        return "the operation left the state of every cell of the line as it was"
    if kind is FindingKind.STALE_FETCH and access.kind is Kind.WB:  # C14
        return (
            manual
            + '"Synchronization and coherency issues between data and instruction accesses": '
            "a write of instructions needs DC CVAU, DSB, IC IVAU, DSB before they are fetched, and "
            "ISB on the PE that runs them"
        )
    written_cached = writer is None or writer.kind is Kind.WB
    reader = {
        FindingKind.STALE_WALK: "a translation table walk",
        FindingKind.STALE_FETCH: "an instruction fetch",
        FindingKind.DMA_STALE_READ: "a device's read",
    }.get(kind, "a read")
    if access.kind is not Kind.WB and written_cached:  # C10, C12
        return (
            manual + f'"Mismatched memory attributes": a cacheable write is seen by {reader} that '
            "is not cacheable only after the location is cleaned to the Point of Coherency and "
            "the clean has completed"
        )
    return (  # C10, C16
        manual + f'"Mismatched memory attributes": after a write that is not cacheable, {reader} '
        "that is cacheable needs the location invalidated in the caches first"
    )
