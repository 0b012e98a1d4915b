"""From the run file's raw records to findings: names, reasons, the repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    Kind,
    Op,
)
from pocwatch.sanitizer import lost_writes
from pocwatch.sanitizer.explain import Describe
from pocwatch.sanitizer.findings import Access, Event, Finding, Frame, Line, Maintenance
from pocwatch.sanitizer.locate import Locator, Where
from pocwatch.sanitizer.reasons import missing_dsb, rule_text, why_not_enough
from pocwatch.sanitizer.stacks import Stacks
from pocwatch.trace import records
from pocwatch.trace.records import NO_ADDRESS, FindingKind, Flag, Why

_PAGE = 4096
_MAINTENANCE = frozenset(DATA_MAINTENANCE) | INSTRUCTION_MAINTENANCE | OUTER_MAINTENANCE


def _address(value: int) -> int | None:
    return None if value == NO_ADDRESS else value


def where(record: records.Access | records.Event) -> Where:
    """Return where a recorded instruction was executed.

    A fetch is recorded at the first instruction of a run of them; the one concerned is at its VA.
    """
    vm = bool(record.flags & Flag.VM)
    place = Where(record.pc, record.pc_pa, record.pc_ipa, vm, record.el == 0)
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
    stacks: Stacks | None = None
    devices: Sequence[str] = ()  # names by number

    def finding(self, raw: records.Finding) -> Finding:
        """Return one finding with everything that can be said about it."""
        access = self._access(raw.access)
        writer = self._event(raw.writer) if raw.writer.seq else None
        history = tuple(self._event(event) for event in raw.history[: raw.n_history] if event.seq)
        cell = min(raw.cell, records.CELLS_PER_LINE - 1)
        states = tuple(raw.states)
        explained = self.describe(self.platform, states, cell, access.op, access.kind)
        line_size = raw.line_size or 64
        kind = FindingKind(raw.kind)
        repair = explained.repair
        if explained.lost or kind is FindingKind.LOST_WRITE:
            repair = lost_writes.repair(writer, history, cell)
        elif not repair and any(missing_dsb(event, writer, history) for event in history):
            repair = ["dsb"]  # fresh once what was issued is done
        return Finding(
            kind=kind.name.lower().replace("_", "-"),
            count=raw.count,
            instructions=raw.instructions,
            access=access,
            writer=writer,
            maintenance=tuple(
                Maintenance(event, why_not_enough(kind, event, access, writer, history, cell))
                for event in history
                if event.op in _MAINTENANCE or event.flags & (Flag.DROPPED | Flag.WEAKENED)
            ),
            history=history,
            history_truncated=bool(raw.truncated),
            line=Line(access.pa & -line_size, line_size, cell, states, tuple(explained.state_text)),
            rule=rule_text(kind, access, writer),
            repair=tuple(repair),
        )

    def _stack(self, number: int, at: Where | None = None) -> tuple[Frame, ...]:
        return () if self.stacks is None else self.stacks.of(number, at)

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
            source=self.locator.source(place),
            stack=self._stack(raw.stack, place),
            device=self._device(raw.device),
            device_number=max(raw.device - 1, 0),
        )

    def _device(self, number: int) -> str | None:
        return self.devices[number - 1] if 0 < number <= len(self.devices) else None

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
            source=self.locator.source(where(raw)),
            stack=self._stack(raw.stack),
            device=self._device(raw.device),
        )
