"""The report as SARIF 2.1.0, for code scanning (GitHub) and SARIF viewers.

A result is a finding: its rule is the kind of finding, its place the function (a logical location) and
the line of source where DWARF says it. Without DWARF the physical location is an address in the program
that was run; GitHub asks for a line then, and gets the first. Left out: artifacts and their hashes, and
fixes, which SARIF wants as edits of text.

Limits of GitHub's code scanning (its documentation, "SARIF results exceed one or more limits"): 25,000
results of a run, of which it shows 5,000; a run of pocwatch has at most 4,096.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pocwatch.arch.ops import Op
from pocwatch.report import files, kinds, words
from pocwatch.report.fingerprint import fingerprint, function, lost_maintenance, numbered
from pocwatch.sanitizer.errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_MACHINE
from pocwatch.sanitizer.findings import Access, Event, Finding, Frame, Report, Suppressed

VERSION = "2.1.0"
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "SRCROOT"
_PROGRAMS = ("-kernel", "-bios")
_END_OF_SENTENCE = re.compile(r"[.!?]$")
_EXIT_TEXT = {EXIT_CLEAN: "clean", EXIT_FINDINGS: "findings", EXIT_MACHINE: "the machine failed"}


def data(report: Report) -> dict[str, Any]:
    """Return the report as a SARIF log of one run."""
    known = [*kinds.KINDS, *_later_kinds(report)]
    return {
        "$schema": _SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": _driver(known)},
                "automationDetails": {"id": f"pocwatch/{report.platform}/"},
                "invocations": [_invocation(report)],
                "originalUriBaseIds": {
                    _ROOT: {"description": {"text": "The directory of the software's build."}}
                },
                "columnKind": "unicodeCodePoints",
                "results": _results(report, [kind.name for kind in known]),
            }
        ],
    }


def render(report: Report) -> str:
    """Return the report as SARIF text."""
    return json.dumps(data(report), indent=1) + "\n"


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--sarif", path, render(report))


def _all_findings(report: Report) -> Iterator[tuple[Finding, Suppressed | None]]:
    for finding in report.findings:
        yield finding, None
    for suppressed in report.suppressed:
        for finding in suppressed.findings:
            yield finding, suppressed


def _later_kinds(report: Report) -> list[kinds.Kind]:
    found = {f.kind: kinds.of(f) for f, _ in _all_findings(report) if f.kind not in kinds.BY_NAME}
    return [found[name] for name in sorted(found)]


def _driver(known: Sequence[kinds.Kind]) -> dict[str, Any]:
    try:
        version = metadata.version("pocwatch")
    except metadata.PackageNotFoundError:
        version = "0"
    return {
        "name": "pocwatch",
        "version": version,
        "shortDescription": {"text": "Finds missing cache maintenance in Arm64 software."},
        "rules": [_rule(kind) for kind in known],
    }


def _rule(kind: kinds.Kind) -> dict[str, Any]:
    rule, repair = _sentence(kind.rule), _sentence(kind.repair)
    security = ["security"] if kind.name == "leak" else []
    return {
        "id": kind.name,
        "name": re.sub(r"\W", "", kind.title.title()),
        "shortDescription": {"text": _sentence(kind.title)},
        "fullDescription": {"text": _sentence(kind.meaning)},
        "help": {
            "text": f"Rule: {rule} Repair: {repair}",
            "markdown": f"**Rule.** {rule}\n\n**Repair.** {repair}",
        },
        "defaultConfiguration": {"level": kind.level},
        "properties": {"tags": ["arm64", "cache-coherency", *security], "precision": "very-high"},
    }


def _sentence(text: str) -> str:
    return text if _END_OF_SENTENCE.search(text) else f"{text}."


def _invocation(report: Report) -> dict[str, Any]:
    code = EXIT_FINDINGS if report.findings else EXIT_CLEAN
    code = EXIT_MACHINE if report.machine_failed else code
    notes = [("warning", warning) for warning in report.warnings]
    if report.failure is not None:
        notes.append(("error" if report.machine_failed else "warning", report.failure))
    return {
        "commandLine": shlex.join(report.command),
        "arguments": list(report.command[1:]),
        "executionSuccessful": not report.machine_failed,
        "exitCode": code,
        "exitCodeDescription": _EXIT_TEXT[code],
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": _sentence(text)}} for level, text in notes
        ],
    }


def _results(report: Report, rules: list[str]) -> list[dict[str, Any]]:
    found = list(_all_findings(report))
    names = numbered([finding for finding, _ in found])
    program = _program(report)
    results = []
    for (finding, suppressed), name in zip(found, names, strict=True):
        result = _result(finding, program)
        result["ruleIndex"] = rules.index(finding.kind)
        result["partialFingerprints"] = {
            "pocwatch/v1": fingerprint(finding),
            "primaryLocationLineHash": name,  # the one that GitHub compares
        }
        if report.known is not None:
            result["baselineState"] = "new"
        if suppressed is not None:
            entry = {"kind": "external", "justification": f"{suppressed.rule}: {suppressed.reason}"}
            result["suppressions"] = [entry]
        results.append(result)
    return results


def _result(finding: Finding, program: str) -> dict[str, Any]:
    access, writer, lost = finding.access, finding.writer, lost_maintenance(finding)
    by_code = writer is not None and writer.op is not Op.DMA_WR
    related = [("The latest data were written here.", writer)] if writer and by_code else []
    if lost is not None:
        related.append((_sentence(f"{lost.event.op.spelling}: {lost.why_not_enough}"), lost.event))
    return {
        "ruleId": finding.kind,
        "level": kinds.of(finding).level,
        "kind": "fail",
        "message": {"text": _message(finding)},
        "occurrenceCount": max(finding.count, 1),
        "locations": [_location(access, program)],
        "relatedLocations": [
            {"id": number, **_location(event, program), "message": {"text": text}}
            for number, (text, event) in enumerate(related, 1)
        ],
        "codeFlows": [_code_flow(finding, program)],
        "stacks": list(_stacks(finding, program)),
        "properties": {
            "attributes": words.attributes(access),
            "va": words.hexadecimal(access.va),
            "ipa": words.hexadecimal(access.ipa),
            "pa": words.hexadecimal(access.pa),
            "lineStates": list(finding.line.states),
            "staleCell": finding.line.stale_cell,
            "firstSeenAtInstruction": finding.instructions,
            "rule": finding.rule,
            "repair": list(finding.repair),
        },
    }


def _world_of(access: Access) -> str:
    if access.op is Op.DMA_RD:
        return f"by {words.device(access.agent, access.device)}, handed over by P{access.pe}"
    return f"{_world(access)}, MMU {access.mmu}"


def _message(finding: Finding) -> str:
    access, writer, lost = finding.access, finding.writer, lost_maintenance(finding)
    where = access.symbol or f"{access.pc:#x}"
    sentences = [
        f"{kinds.of(finding).title} in {where} ({_world_of(access)}; "
        f"{words.attributes(access)})",
        f"The latest data were written by {words.author(writer)} "
        f"({words.write_attributes(writer)})"
        if writer
        else "Who wrote the latest data was not seen: the initial contents of RAM, or forgotten",
        f"{lost.event.op.spelling} in {lost.event.symbol or f'{lost.event.pc:#x}'}: "
        f"{lost.why_not_enough}"
        if lost
        else "No maintenance of the line was seen since",
    ]
    if finding.repair:
        sentences.append(f"Repair: {'; '.join(finding.repair)}")
    return " ".join(map(_sentence, sentences))


def _world(place: Access | Event) -> str:
    return "guest" if place.vm else "host"


def _program(report: Report) -> str:
    """Return the file that an address without a line of source is attributed to."""
    command = list(report.command)
    named = [command[at + 1] for at, word in enumerate(command[:-1]) if word in _PROGRAMS]
    return PurePosixPath(named[0]).name if named else "memory"


def _location(place: Access | Event, program: str) -> dict[str, Any]:
    return _at(place, _world(place), program)


def _at(place: Access | Event | Frame, world: str, program: str) -> dict[str, Any]:
    name = place.symbol or f"{place.pc:#x}"
    return {
        "physicalLocation": _physical(place, program),
        "logicalLocations": [
            {
                "name": function(place.symbol) or name,
                "fullyQualifiedName": f"{world}!{name}",
                "kind": "function",
            }
        ],
    }


def _stacks(finding: Finding, program: str) -> Iterator[dict[str, Any]]:
    """Yield the call stacks that were taken: of the access, and of the maintenance that was lost."""
    lost = lost_maintenance(finding)
    places: list[tuple[str, Access | Event]] = [("The access and its callers.", finding.access)]
    if lost is not None:
        places.append(("The maintenance that was not enough, and its callers.", lost.event))
    for text, place in places:
        if place.stack:
            frames = [{"location": _at(frame, _world(place), program)} for frame in place.stack]
            yield {"message": {"text": text}, "frames": frames}


def _physical(place: Access | Event | Frame, program: str) -> dict[str, Any]:
    source = place.source
    if source is None:
        # No absoluteAddress: the SDK that most readers use takes no more than 31 bits for it.
        address = {"name": f"{place.pc:#x}", "kind": "instruction"}
        if place.symbol:
            address["fullyQualifiedName"] = place.symbol
        return {
            "artifactLocation": {"uri": quote(program), "uriBaseId": _ROOT},
            "region": {"startLine": 1},
            "address": address,
        }
    absolute = source.file.startswith("/")
    where: dict[str, Any] = {"uri": ("file://" if absolute else "") + quote(source.file)}
    if not absolute:
        where["uriBaseId"] = _ROOT
    return {"artifactLocation": where, "region": {"startLine": source.line}}


def _code_flow(finding: Finding, program: str) -> dict[str, Any]:
    """Return what happened to the line, oldest first, and then the access."""
    reasons = {entry.event: entry.why_not_enough for entry in finding.maintenance}
    events = set(finding.history) | set(reasons)
    if finding.writer is not None:
        events.add(finding.writer)
    steps = []
    for event in sorted(events, key=lambda e: (e.seq, e.pc, e.op)):
        text = f"{words.operation(event.op)} by {event.agent}"
        if event == finding.writer:
            text += ", of the latest data"
        elif event in reasons:
            text += f": {reasons[event]}"
        steps.append(_step(event, text, program))
    last = f"{words.operation(finding.access.op)} by P{finding.access.pe}: may be stale"
    steps.append(_step(finding.access, last, program, "essential"))
    return {
        "message": {"text": f"What happened to the line at PA {finding.line.pa:#x}."},
        "threadFlows": [
            {
                "locations": [
                    {"executionOrder": order, **step} for order, step in enumerate(steps, 1)
                ]
            }
        ],
    }


def _step(
    place: Access | Event, text: str, program: str, importance: str = "important"
) -> dict[str, Any]:
    return {
        "importance": importance,
        "location": {**_location(place, program), "message": {"text": _sentence(text)}},
    }
