"""The report as JUnit XML, for Jenkins, GitLab and others that show test results.

A suite is a kind of finding, a failing case a place in the code; what suppressions took out is skipped.
A suite of its own says whether the machine ran to its end, and if so and nothing was found, that too: a
case that passes, since an empty file is an error to most readers. Nothing passes in a run that is
partial. Cases have no times, and are named by functions: they are the same from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from pocwatch.report import files, text
from pocwatch.report.fingerprint import function
from pocwatch.sanitizer.findings import Finding, Report, Suppressed

_RUN = "run"


def document(report: Report) -> ElementTree.Element:
    """Return the root element."""
    found: dict[str, list[tuple[Finding, Suppressed | None]]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, []).append((finding, None))
    for suppressed in report.suppressed:
        for finding in suppressed.findings:
            found.setdefault(finding.kind, []).append((finding, suppressed))
    suites = [_run_suite(report), *(_kind_suite(kind, found[kind]) for kind in sorted(found))]
    root = ElementTree.Element("testsuites", {"name": "pocwatch"})
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    return root


def render(report: Report) -> str:
    """Return the report as XML text."""
    root = document(report)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all. Raise MachineError when the disk does not take it."""
    files.write("--junit", path, render(report))


def _run_suite(report: Report) -> ElementTree.Element:
    case = _case(_RUN, "the machine ran to its end")
    if report.machine_failed:
        _outcome(case, "error", "machine-failed", report.failure or "", report.failure or "")
    elif not report.complete:
        _outcome(case, "skipped", "partial", report.failure or "the run did not end", "")
    cases = [case]
    if report.complete and not report.findings:
        cases.append(_case(_RUN, "no findings"))
    suite = _suite(_RUN, cases)
    properties = ElementTree.Element("properties")
    values = {"platform": report.platform, "qemu": report.qemu}
    if report.known is not None:
        values["known from the baseline"] = str(report.known.count)
    for name, value in values.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.insert(0, properties)
    output = ElementTree.SubElement(suite, "system-out")
    output.text = _clean(text.summary(report))
    return suite


def _kind_suite(
    kind: str, found: Sequence[tuple[Finding, Suppressed | None]]
) -> ElementTree.Element:
    seen: dict[str, int] = {}
    cases = []
    for finding, suppressed in found:
        name = _name(finding)
        seen[name] = seen.get(name, 0) + 1
        case = _case(kind, name if seen[name] == 1 else f"{name} #{seen[name]}")
        if suppressed is None:
            _outcome(case, "failure", kind, text.verdict(finding), text.details(finding))
        else:
            _outcome(case, "skipped", suppressed.rule, suppressed.reason, text.details(finding))
        cases.append(case)
    return _suite(kind, cases)


def _name(finding: Finding) -> str:
    access, writer = finding.access, finding.writer
    place = function(access.symbol) or f"{access.pc:#x}"
    by = function(writer.symbol) or f"{writer.pc:#x}" if writer else "nobody seen"
    return f"{place} in the {'guest' if access.vm else 'host'}, written by {by}"


def _suite(name: str, cases: list[ElementTree.Element]) -> ElementTree.Element:
    counts = {
        key: sum(case.find(tag) is not None for case in cases)
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ElementTree.Element("testsuite", {"name": _clean(name), "tests": str(len(cases))})
    for key, count in counts.items():
        suite.set(key, str(count))
    suite.extend(cases)
    return suite


def _case(suite: str, name: str) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase", {"classname": _clean(f"pocwatch.{suite}"), "name": _clean(name)}
    )


def _outcome(case: ElementTree.Element, tag: str, kind: str, message: str, body: str) -> None:
    element = ElementTree.SubElement(
        case, tag, {"type": _clean(kind), "message": _clean(" ".join(message.split()))}
    )
    element.text = _clean(body)


def _clean(value: str) -> str:
    """Return a text without the characters that XML 1.0 cannot hold."""
    return "".join(c if _allowed(ord(c)) else "\ufffd" for c in value)


def _allowed(code: int) -> bool:
    return (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or code >= 0x10000
    )
