"""The report as JSON. The keys are a promise to users: more may be added, none changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pocwatch.report import files, words
from pocwatch.sanitizer.findings import Event, Finding, Report


def data(report: Report) -> dict[str, Any]:
    """Return the report as plain values. Addresses are hex strings."""
    return {
        "complete": report.complete,
        "failure": report.failure,
        "platform": report.platform,
        "qemu": report.qemu,
        "command": list(report.command),
        "instructions": report.instructions,
        "accesses": report.accesses,
        "fetches": report.fetches,
        "walks": report.walks,
        "maintenance": report.maintenance,
        "redundant": report.redundant,
        "dropped": report.dropped,
        "findings": [_finding(finding) for finding in report.findings],
        "suppressed": [
            {"rule": s.rule, "count": s.count, "occurrences": s.occurrences, "reason": s.reason}
            for s in report.suppressed
        ],
        "warnings": list(report.warnings),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    access, line = finding.access, finding.line
    return {
        "kind": finding.kind,
        "count": finding.count,
        "first_seen_at_instruction": finding.instructions,
        "access": {
            "op": access.op.spelling,
            "pe": access.pe,
            "el": access.el,
            "vm": access.vm,
            "vm_id": access.vm_id,
            "mmu": access.mmu,
            "pc": words.hexadecimal(access.pc),
            "pc_pa": words.hexadecimal(access.pc_pa),
            "symbol": access.symbol,
            "instruction": f"{access.insn:#010x}",
            "va": words.hexadecimal(access.va),
            "ipa": words.hexadecimal(access.ipa),
            "pa": words.hexadecimal(access.pa),
            "size": access.size,
            "attributes": words.attributes(access),
        },
        "writer": _writer(finding.writer),
        "maintenance": [
            {**_event(entry.event), "why_not_enough": entry.why_not_enough}
            for entry in finding.maintenance
        ],
        "history": [_event(event) for event in finding.history],
        "history_truncated": finding.history_truncated,
        "line": {
            "pa": words.hexadecimal(line.pa),
            "size": line.size,
            "stale_cell": line.stale_cell,
            "states": list(line.states),
            "state_text": list(line.state_text),
        },
        "rule": finding.rule,
        "repair": list(finding.repair),
    }


def _writer(event: Event | None) -> dict[str, Any]:
    if event is None:
        return {"agent": None, "pc": None, "symbol": None, "attributes": "initial contents of RAM"}
    return {**_event(event), "attributes": words.write_attributes(event)}


def _event(event: Event) -> dict[str, Any]:
    return {
        "op": event.op.spelling,
        "agent": event.agent,
        "el": event.el,
        "vm": event.vm,
        "pc": words.hexadecimal(event.pc),
        "pc_pa": words.hexadecimal(event.pc_pa),
        "symbol": event.symbol,
        "rule": event.rule,
    }


def render(report: Report) -> str:
    """Return the report as a JSON document, indented for people and diffs."""
    return json.dumps(data(report), indent=2) + "\n"


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--json", path, render(report))
