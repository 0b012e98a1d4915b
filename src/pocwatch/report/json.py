"""The report as JSON. The keys are a promise to users: more may be added, none changes.

`report.load` reads it again. Every key is described in schema/report-1.json.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocwatch.platforms import definition
from pocwatch.report import files, words
from pocwatch.report.fingerprint import fingerprint
from pocwatch.sanitizer.findings import Access, Event, Finding, Frame, Report, Suppressed
from pocwatch.sanitizer.symbols.lines import SourceLine

SCHEMA = "pocwatch-report/1"


def data(report: Report) -> dict[str, Any]:
    """Return the report as plain values. Addresses are hex strings."""
    return {
        "schema": SCHEMA,
        **summary(report),
        "findings": [finding(each) for each in report.findings],
        "suppressed": [_suppressed(each) for each in report.suppressed],
        "warnings": list(report.warnings),
    }


def summary(report: Report) -> dict[str, Any]:
    """Return what is said of the run as a whole."""
    platform, known = report.definition, report.known
    return {
        "complete": report.complete,
        "failure": report.failure,
        "machine_failed": report.machine_failed,
        "watched": report.watched,
        "platform": report.platform,
        "platform_definition": None
        if platform is None
        else {"name": platform.name, **definition.table(platform)},
        "qemu": report.qemu,
        "command": list(report.command),
        "instructions": report.instructions,
        "accesses": report.accesses,
        "fetches": report.fetches,
        "walks": report.walks,
        "devices": [
            {
                "agent": f"D{number}",
                "name": device.name,
                "coherent": device.coherent,
                "lines_read": device.lines_read,
                "lines_written": device.lines_written,
            }
            for number, device in enumerate(report.devices)
        ],
        "maintenance": report.maintenance,
        "redundant": report.redundant,
        "dropped": report.dropped,
        "known": None
        if known is None
        else {
            "baseline": known.baseline,
            "count": known.count,
            "occurrences": known.occurrences,
        },
    }


def finding(each: Finding) -> dict[str, Any]:
    """Return one finding as plain values."""
    line = each.line
    return {
        "kind": each.kind,
        "fingerprint": fingerprint(each),
        "count": each.count,
        "first_seen_at_instruction": each.instructions,
        "access": _access(each.access),
        "writer": _writer(each.writer),
        "maintenance": [
            {**_event(entry.event), "why_not_enough": entry.why_not_enough}
            for entry in each.maintenance
        ],
        "history": [_event(event) for event in each.history],
        "history_truncated": each.history_truncated,
        "line": {
            "pa": words.hexadecimal(line.pa),
            "size": line.size,
            "stale_cell": line.stale_cell,
            "states": list(line.states),
            "state_text": list(line.state_text),
        },
        "rule": each.rule,
        "repair": list(each.repair),
    }


def _access(access: Access) -> dict[str, Any]:
    return {
        "op": access.op.spelling,
        "kind": words.short_attributes(access.kind),
        "pe": access.pe,
        "el": access.el,
        "vm": access.vm,
        "vm_id": access.vm_id,
        "mmu": access.mmu,
        "flags": _names(access.flags),
        "pc": words.hexadecimal(access.pc),
        "pc_pa": words.hexadecimal(access.pc_pa),
        "pc_ipa": words.hexadecimal(access.pc_ipa),
        "symbol": access.symbol,
        "source": _source(access.source),
        "instruction": f"{access.insn:#010x}",
        "va": words.hexadecimal(access.va),
        "ipa": words.hexadecimal(access.ipa),
        "pa": words.hexadecimal(access.pa),
        "size": access.size,
        "attributes": words.attributes(access),
        "why": _names(access.why),
        "s1_mair": access.s1_mair,
        "s2_attr": access.s2_attr,
        "stack": _stack(access.stack),
        "agent": access.agent,
        "device": access.device,
        "device_number": access.device_number,
    }


def _stack(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    return [
        {
            "pc": words.hexadecimal(frame.pc),
            "symbol": frame.symbol,
            "source": _source(frame.source),
        }
        for frame in frames
    ]


def _writer(event: Event | None) -> dict[str, Any]:
    if event is None:
        return {"agent": None, "pc": None, "symbol": None, "attributes": "initial contents of RAM"}
    return {**_event(event), "attributes": words.write_attributes(event)}


def _event(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "op": event.op.spelling,
        "kind": words.short_attributes(event.kind),
        "agent": event.agent,
        "pe": event.pe,
        "el": event.el,
        "vm": event.vm,
        "vm_id": event.vm_id,
        "flags": _names(event.flags),
        "cells": [cell for cell in range(event.cells.bit_length()) if event.cells >> cell & 1],
        "pc": words.hexadecimal(event.pc),
        "pc_pa": words.hexadecimal(event.pc_pa),
        "pc_ipa": words.hexadecimal(event.pc_ipa),
        "symbol": event.symbol,
        "source": _source(event.source),
        "rule": event.rule,
        "stack": _stack(event.stack),
        "device": event.device,
    }


def _suppressed(each: Suppressed) -> dict[str, Any]:
    return {
        "rule": each.rule,
        "count": each.count,
        "occurrences": each.occurrences,
        "reason": each.reason,
        "findings": [finding(one) for one in each.findings],
    }


def _source(line: SourceLine | None) -> dict[str, Any] | None:
    return None if line is None else {"file": line.file, "line": line.line}


def _names(flags: enum.IntFlag) -> list[str]:
    return [str(flag.name).lower() for flag in type(flags) if flag in flags]


def render(report: Report) -> str:
    """Return the report as a JSON document, indented for people and diffs."""
    return json.dumps(data(report), indent=2) + "\n"


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--json", path, render(report))
