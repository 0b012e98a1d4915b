"""The report as a timeline in the Trace Event Format, for Perfetto (ui.perfetto.dev) and others.

JSON, not Perfetto's own protobuf: more programs read it, no library is needed to write it, and the text
can be diffed. A nanosecond is an instruction, of all PEs together. There are two groups of tracks: who
did something (a PE in a world, or a device), with findings as instants and an arrow from the latest data
to the access that missed it; and the cells that findings are about, with what may have been the case of
them. What several findings tell is drawn once. Nothing is as long as it looks: an operation is drawn as
one instruction, a state until the next event that is known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.platforms import Platform
from pocwatch.report import files, text, words
from pocwatch.report.instants import Happened, Instants, instants
from pocwatch.report.retrace import events_of
from pocwatch.report.timeline import Situation, Step, Timeline, operation, timeline
from pocwatch.sanitizer.findings import Access, Event, Finding, Report

AGENTS, CELLS = 1, 2
"""The groups, as processes, which is what the format has."""
ORDER_ONLY = "order only: put as late as what is known allows"
_CELL_BYTES = 8
_Track = tuple[str, int, int]  # P or D, its number, the VM's; -1 a guest's of unknown number


def document(report: Report) -> dict[str, Any]:
    """Return the timeline as plain values."""
    return {
        "displayTimeUnit": "ns",
        "otherData": _metadata(report),
        "traceEvents": [_clean(event) for event in _Drawing(report).events()],
    }


def render(report: Report) -> str:
    """Return the timeline as JSON, an event a line."""
    values = document(report)
    head = json.dumps({key: value for key, value in values.items() if key != "traceEvents"})
    events = ",\n".join(json.dumps(event) for event in values["traceEvents"])
    return f'{head[:-1]}, "traceEvents": [\n{events}\n]}}\n'


def write(report: Report, path: Path) -> None:
    """Write the timeline whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--perfetto", path, render(report))


def _metadata(report: Report) -> dict[str, Any]:
    values = {
        "made by": "pocwatch",
        "time": "1 ns is 1 instruction, of all PEs together; of what happened before a finding only the "
        "order is known: it is drawn as late as that allows",
        "platform": report.platform,
        "qemu": report.qemu,
        "command": list(report.command),
        "instructions": report.instructions,
        "findings": len(report.findings),
        "suppressed": sum(each.count for each in report.suppressed),
        "complete": report.complete,
        "failure": report.failure,
        "warnings": list(report.warnings),
    }
    return {key: _clean(value) for key, value in values.items()}


class _Drawing:
    """The events of one report."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.when: Instants = instants(report.findings)
        self.happened = _told_best(report.findings)
        self.tracks = self._numbered()
        # By line and cell, the findings about it, in the order in which they were made.
        self.cells: dict[tuple[int, int], list[int]] = {}
        for i, finding in sorted(
            enumerate(report.findings), key=lambda e: self.when.accesses[e[0]]
        ):
            self.cells.setdefault((finding.line.pa, finding.line.stale_cell), []).append(i)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield everything, names of tracks first."""
        yield from self._names()
        yield from self._operations()
        for i, finding in enumerate(self.report.findings):
            yield from self._finding(i, finding)
        if self.report.definition is not None:
            for tid, cell in enumerate(sorted(self.cells), 1):
                yield from self._states(tid, self.cells[cell], self.report.definition)

    def _numbered(self) -> dict[_Track, int]:
        seen = {_track_of_access(finding.access) for finding in self.report.findings}
        seen |= {_track(event) for event, _ in self.happened.values()}
        return {track: tid for tid, track in enumerate(sorted(seen, key=_rank), 1)}

    def _names(self) -> Iterator[dict[str, Any]]:
        groups: list[tuple[int, str, Iterable[str]]]
        groups = [(AGENTS, "who (1 ns = 1 instruction)", map(_track_name, self.tracks))]
        if self.report.definition is not None:
            names = (_cell_name(*cell) for cell in sorted(self.cells))
            groups.append((CELLS, f"8-byte cells, on {self.report.platform}", names))
        for pid, name, tracks in groups:
            yield _name("process_name", pid, 0, name=name)
            yield _name("process_sort_index", pid, 0, sort_index=pid)
            for tid, track in enumerate(tracks, 1):
                yield _name("thread_name", pid, tid, name=track)
                yield _name("thread_sort_index", pid, tid, sort_index=tid)

    def _operations(self) -> Iterator[dict[str, Any]]:
        """Yield what history tells: each happening once, in order."""
        for key, at in sorted(self.when.events.items(), key=lambda entry: entry[1]):
            event, finding = self.happened[key]
            yield {
                **self._slice(at, 1, operation(event.op, event.kind)),
                **self._on(_track(event)),
                "cat": "history",
                "args": _event_arguments(event, finding),
            }

    def _finding(self, number: int, finding: Finding) -> Iterator[dict[str, Any]]:
        access, at = finding.access, self.when.accesses[number]
        place = self._on(_track_of_access(access))
        name = operation(access.op, access.kind)
        yield {
            **self._slice(at, 1, name),
            **place,
            "cat": "access",
            "args": _access_arguments(access, finding),
        }
        if finding.writer is not None:
            latest = Happened.of(finding, _in_history(finding, finding.writer))
            wrote, start = self.when.events[latest], self._on(_track(self.happened[latest][0]))
            arrow = {"name": "latest data", "cat": "latest data", "id": number + 1}
            yield {**arrow, "ph": "s", "ts": _time(wrote), **start}
            yield {**arrow, "ph": "f", "bp": "e", "ts": _time(at), **place}
        yield {
            "name": finding.kind,
            "cat": "finding",
            "ph": "i",
            "s": "t",
            "ts": _time(at),
            **place,
            "args": {
                "verdict": text.verdict(finding),
                "kind": finding.kind,
                "symbol": words.code_place(access.pc, access.symbol),
                "count": finding.count,
                "first seen at instruction": finding.instructions,
                "rule": finding.rule,
                "repair": "; ".join(finding.repair),
            },
        }

    def _states(
        self, tid: int, numbers: Iterable[int], platform: Platform
    ) -> Iterator[dict[str, Any]]:
        """Yield what was the case of a cell, from one finding after the other: each adds what the one
        before did not reach."""
        until = 0
        for number in numbers:
            finding = self.report.findings[number]
            told = timeline(finding, platform)
            at = self.when.accesses[number]
            starts = list(_changes(told, finding, self.when, at))
            ends = [start for start, _, _ in starts[1:]] + [at + 1]
            for (start, step, situation), end in zip(starts, ends, strict=True):
                begin = max(start, until)
                if begin >= end:
                    continue
                until = end
                yield {
                    **self._slice(begin, end - begin, _state(situation, told)),
                    "pid": CELLS,
                    "tid": tid,
                    "cat": "state",
                    "args": _state_arguments(step, situation, told),
                }

    @staticmethod
    def _slice(start: int, length: int, name: str) -> dict[str, Any]:
        return {"name": name, "ph": "X", "ts": _time(start), "dur": _time(length)}

    def _on(self, track: _Track) -> dict[str, int]:
        return {"pid": AGENTS, "tid": self.tracks[track]}


def _told_best(findings: Sequence[Finding]) -> dict[Happened, tuple[Event, Finding]]:
    """Return everything that happened, by one of the findings that tell it: history says more of an
    event than is known of a writer that is not in it."""
    found: dict[Happened, tuple[Event, Finding]] = {}
    for known_less in (False, True):
        for finding in findings:
            for event, added in events_of(finding):
                if added is known_less:
                    found.setdefault(Happened.of(finding, event), (event, finding))
    return found


def _in_history(finding: Finding, writer: Event) -> Event:
    """Return the latest write as the history has it."""
    return next(e for e, _ in events_of(finding) if (e.seq, e.pc) == (writer.seq, writer.pc))


def _changes(
    told: Timeline, finding: Finding, when: Instants, at: int
) -> Iterator[tuple[int, Step, Situation]]:
    """Yield when each situation of a cell begins, and with which step; without history, the one found."""
    steps = [step for step in told.steps if step.event is not None]
    for step in steps:
        assert step.event is not None
        yield when.events[Happened.of(finding, step.event)], step, step.after
    if not steps:
        yield at, told.steps[-1], told.steps[-1].before


def _state(situation: Situation, told: Timeline) -> str:
    if not situation.known:
        return "not known"
    return " or ".join(f"{state}: {told.meanings[state]}" for state in situation.states)


def _state_arguments(step: Step, situation: Situation, told: Timeline) -> dict[str, Any]:
    event = step.event
    return {
        "since": f"{step.agent} {step.operation} in {step.where}" if step.where else step.agent,
        "notes": "; ".join(step.notes),
        **({"seq": event.seq, "time": ORDER_ONLY} if event is not None else {}),
        "states known": told.trust.value,
        "may hold": {
            bar.name: ", ".join(sorted(copy.value for copy in bar.may_hold))
            for bar in (*([situation.icache] if situation.icache else []), *situation.bars)
        },
    }


def _event_arguments(event: Event, finding: Finding) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": ORDER_ONLY,
        "in": words.code_place(event.pc, event.symbol),
        "source": str(event.source or ""),
        "at": words.world(event.el, event.vm, event.vm_id),
        "line": f"{finding.line.pa:#x}",
        "cells": [cell for cell in range(8) if event.cells >> cell & 1],
        "rule": event.rule or "",
        "called by": words.callers(event.stack),
    }


def _access_arguments(access: Access, finding: Finding) -> dict[str, Any]:
    return {
        "instructions": finding.instructions,
        "in": words.code_place(access.pc, access.symbol),
        "source": str(access.source or ""),
        "at": words.world(access.el, access.vm, access.vm_id),
        "attributes": words.attributes(access),
        "va": words.hexadecimal(access.va),
        "ipa": words.hexadecimal(access.ipa),
        "pa": words.hexadecimal(access.pa),
        "line": f"{finding.line.pa:#x}",
        "bytes": access.size,
        "called by": words.callers(access.stack),
    }


def _name(what: str, pid: int, tid: int, **args: str | int) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": pid, "tid": tid, "args": args}


def _time(instructions: int) -> float:
    """Return microseconds, the unit of the format; exact up to 2**50 instructions, also in readers that
    multiply by 1,000 and cut off what is behind the point."""
    time = instructions / 1000
    return math.nextafter(time, math.inf) if int(time * 1000) < instructions else time


def _track(event: Event) -> _Track:
    return _of(event.op, event.pe, event.vm, event.vm_id)


def _track_of_access(access: Access) -> _Track:
    device = access.op is Op.DMA_RD
    return _of(access.op, access.device_number if device else access.pe, access.vm, access.vm_id)


def _of(op: Op, pe: int, vm: bool, vm_id: int) -> _Track:
    if op in (Op.DMA_RD, Op.DMA_WR):
        return ("D", pe, 0)
    return ("P", pe, (vm_id or -1) if vm else 0)


def _rank(track: _Track) -> tuple[bool, int, bool, int]:
    agent, number, vm = track
    return (agent == "D", number, vm < 0, vm)


def _track_name(track: _Track) -> str:
    agent, number, vm = track
    if agent == "D":
        return f"D{number}"
    world = "host" if vm == 0 else "guest" if vm < 0 else f"guest {vm}"
    return f"P{number} {world}"


def _cell_name(line_pa: int, cell: int) -> str:
    return f"{line_pa + cell * _CELL_BYTES:#x} (line {line_pa:#x})"


def _clean(value: Any) -> Any:
    """Return values without halves of surrogate pairs, which are no text and which readers refuse."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list) else value
