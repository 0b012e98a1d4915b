"""What the page shows, as plain values: the page's script only draws.

What many findings share (situations, steps, texts) is in tables and is named by its index, so that a
report of ten thousand findings stays a file that a browser reads in a moment.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from pocwatch.arch.ops import Op
from pocwatch.line import emit
from pocwatch.line.contents import Bar, contents_of
from pocwatch.line.model import Copy
from pocwatch.platforms import Platform
from pocwatch.report import text, words
from pocwatch.report.groups import group
from pocwatch.report.html import layout
from pocwatch.report.html.sources import Sources
from pocwatch.report.timeline import Situation, Step, timeline
from pocwatch.sanitizer.findings import Access, Event, Finding, Frame, Report
from pocwatch.trace.records import Flag

# What a place may hold, one letter each: absent; latest clean, dirty; stale clean, dirty.
LETTERS = {
    Copy.ABSENT: "a",
    Copy.LATEST_DIRTY: "D",
    Copy.LATEST_CLEAN: "L",
    Copy.STALE_CLEAN: "s",
    Copy.STALE_DIRTY: "d",
}


class Table:
    """Values by index, each kept once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._index: dict[Hashable, int] = {}

    def add(self, key: Hashable, value: Any) -> int:
        """Return the index of what `key` stands for."""
        if key not in self._index:
            self._index[key] = len(self.values)
            self.values.append(value)
        return self._index[key]

    def text(self, value: str) -> int:
        """Return the index of a text."""
        return self.add(value, value)


class _Findings:
    """Turns findings into values, sharing what they have in common."""

    def __init__(self, definition: Platform | None) -> None:
        self.definition = definition
        self.texts, self.situations, self.steps = Table(), Table(), Table()
        self.sources = Sources()

    def value(self, finding: Finding, cause: int) -> dict[str, Any]:
        access = finding.access
        found: dict[str, Any] = {
            "kind": self.texts.text(finding.kind),
            "count": finding.count,
            "seen": finding.instructions,
            "verdict": text.verdict(finding),
            "site": self.texts.text(function(access.symbol, access.pc)),
            "agent": self.texts.text(agent(access)),
            "cause": cause,
            "access": list(_access(access)),
            "stack": self._callers(access.stack),
            "writer": list(_writer(finding.writer)),
            "maintenance": [
                [
                    entry.event.op.spelling,
                    entry.event.agent,
                    words.code_place(entry.event.pc, entry.event.symbol),
                    self.texts.text(entry.why_not_enough),
                    self._callers(entry.event.stack),
                ]
                for entry in finding.maintenance
            ],
            "truncated": finding.history_truncated,
            "line": {
                "pa": f"{finding.line.pa:#x}",
                "states": list(finding.line.states),
                "texts": [self.texts.text(t) for t in finding.line.state_text],
                "cell": finding.line.stale_cell,
            },
            "rule": self.texts.text(finding.rule),
            "repair": self.texts.text("; ".join(finding.repair)),
            "source": list(self._source(finding)),
        }
        if self.definition is not None:
            told = timeline(finding, self.definition)
            found["steps"] = [self._step(step) for step in told.steps]
            found["trust"] = told.trust.name.lower()
        return found

    def _step(self, step: Step) -> int:
        before, after = self._situation(step.before), self._situation(step.after)
        value = {
            "role": step.role.name.lower(),
            "agent": step.agent,
            "world": step.world,
            "operation": step.operation,
            "where": step.where,
            "notes": list(step.notes),
            "before": before,
            "after": after,
            "lost": step.lost,
            **_asked(step.event),
        }
        key = tuple(tuple(v) if isinstance(v, list) else v for v in value.values())
        return self.steps.add(key, value)

    def _situation(self, situation: Situation) -> int:
        bars = [*([situation.icache] if situation.icache else []), *situation.bars]
        value = {"states": list(situation.states), "bars": [[b.name, _letters(b)] for b in bars]}
        return self.situations.add((situation.states, tuple(bars)), value)

    def _callers(self, stack: Sequence[Frame]) -> list[list[int]]:
        """Return place and line of source (or nothing) of all frames but the innermost."""
        return [
            [
                self.texts.text(words.code_place(frame.pc, frame.symbol)),
                self.texts.text(str(frame.source or "")),
            ]
            for frame in stack[1:]
        ]

    def _source(self, finding: Finding) -> Iterator[dict[str, Any]]:
        """Yield excerpts of what DWARF names: the access, the writer, the last maintenance."""
        last = finding.maintenance[-1].event if finding.maintenance else None
        for what, event in (("access", finding.access), ("writer", finding.writer), ("last", last)):
            place = event.source if event is not None else None
            if place is not None:
                yield {
                    "what": what,
                    "place": str(place),
                    "line": place.line,
                    "lines": [list(each) for each in self.sources.around(place)],
                }


def _asked(event: Event | None) -> dict[str, str]:
    """Return the maintenance that software asked for and a rule took away, and the rule's verb."""
    if event is None or not event.flags & (Flag.DROPPED | Flag.WEAKENED):
        return {}
    if Flag.DROPPED in event.flags:
        return {"asked": event.op.spelling, "fate": "dropped"}
    asked = (event.rule or "").split("=")[0].strip()
    return {"asked": asked, "fate": "weakened"}


@functools.cache
def _letters(bar: Bar) -> str:
    return "".join(letter for copy, letter in LETTERS.items() if copy in bar.may_hold)


def function(symbol: str | None, pc: int) -> str:
    """Return the code site that a finding is grouped under."""
    return symbol.split("+")[0] if symbol else f"{pc:#x}"


def agent(access: Access) -> str:
    """Return who made the access, as findings are grouped by it."""
    if access.op is Op.DMA_RD:
        return words.device(access.agent, access.device)
    return f"P{access.pe} at {words.world(access.el, access.vm, access.vm_id)}, " + words.mmu(
        access.flags
    )


def _access(access: Access) -> Iterator[list[str]]:
    """Yield label and value of what there is to say of an access."""
    yield ["operation", f"{words.operation(access.op)} of {text.counted(access.size, 'byte')}"]
    yield ["by", agent(access)]
    yield ["code", words.code_place(access.pc, access.symbol)]
    yield ["instruction", f"{access.insn:#010x}"]
    ipa = "" if access.ipa is None else f" → IPA {access.ipa:#x}"
    yield ["address", f"VA {access.va:#x}{ipa} → PA {access.pa:#x}"]
    yield ["attributes", words.attributes(access)]


def _writer(event: Event | None) -> Iterator[list[str]]:
    if event is None:
        yield ["by", "nobody seen: the initial contents of RAM, or forgotten"]
        return
    yield ["operation", words.operation(event.op)]
    if event.op is Op.DMA_WR:
        yield ["by", words.device(event.agent, event.device)]
        yield ["attributes", words.write_attributes(event)]
        return
    yield ["by", f"{event.agent} at {words.world(event.el, event.vm, event.vm_id)}"]
    yield ["code", words.code_place(event.pc, event.symbol)]
    yield ["attributes", words.write_attributes(event)]


def platform(definition: Platform) -> dict[str, Any]:
    """Return the caches as the summary draws them."""
    return {
        "name": definition.name,
        "description": definition.description,
        "pes": definition.pes,
        "levels": [
            {
                "name": level.name,
                "by VA": level.by_va,
                "set/way": level.set_way,
                "outer": level.outer,
            }
            for level in definition.levels
        ],
        "pou": definition.pou,
        "idc": definition.idc,
        "dic": definition.dic,
    }


def automaton(definition: Platform) -> dict[str, Any]:
    """Return the states with their places in the drawing, and the edges with and without fills."""
    value = contents_of(definition).automaton
    return {
        "columns": layout.COLUMNS,
        "states": [
            {
                "meaning": name,
                "reads": emit.flags(value.stale[1][state]),
                "severity": layout.severity(value, state),
                "at": [spot.column, spot.row],
            }
            for state, (name, spot) in enumerate(
                zip(emit.names(value), layout.spots(value), strict=True)
            )
        ],
        "edges": [
            [one, other, [emit.EVENT_TEXT[event] for event in events]]
            for (one, other), events in layout.edges(value, 1).items()
        ],
    }


def data(report: Report) -> dict[str, Any]:
    """Return everything that the page shows."""
    findings = _Findings(report.definition)
    groups = group(report.findings)
    causes = {id(finding): n for n, each in enumerate(groups) for finding in each.findings}
    values = [findings.value(finding, causes[id(finding)]) for finding in report.findings]
    drawn = report.definition is not None and report.findings
    return {
        "summary": {
            "complete": report.complete,
            "failure": report.failure or "",
            "platform": report.platform,
            "qemu": report.qemu,
            "command": shlex.join(report.command),
            "counters": [
                ["instructions", report.instructions],
                ["data accesses", report.accesses],
                ["instruction fetches", report.fetches],
                ["translation table walks", report.walks],
                ["maintenance operations", sum(report.maintenance.values())],
            ],
            "maintenance": [
                [op, count, report.redundant.get(op, 0)] for op, count in report.maintenance.items()
            ],
            "redundant": bool(report.redundant),
            "dropped": list(report.dropped.items()),
            "suppressed": [[s.rule, s.count, s.occurrences, s.reason] for s in report.suppressed],
            "known": report.known
            and [report.known.baseline, report.known.count, report.known.occurrences],
            "warnings": list(report.warnings),
            "causes": len(groups),
        },
        "platform": platform(report.definition) if report.definition else None,
        "automaton": automaton(report.definition) if drawn and report.definition else None,
        "texts": findings.texts.values,
        "situations": findings.situations.values,
        "steps": findings.steps.values,
        "findings": values,
    }
