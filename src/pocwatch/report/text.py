"""The report as text, in the order of kernel sanitizer reports (KASAN): verdict, access, who wrote,
what was done since, the line with carets, the rule, the repair."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from textwrap import wrap

from pocwatch.arch.ops import Op
from pocwatch.report import words
from pocwatch.report.groups import Group, group
from pocwatch.sanitizer.findings import Event, Finding, Frame, Line, Report

_RULER = "=" * 78
_WIDTH = 78
_CELL_BYTES = 8
_OTHER_PLACES = 6


def render(report: Report, max_findings: int | None = None) -> str:
    """Return the whole report; findings with one cause are one entry, `max_findings` entries."""
    groups = group(report.findings)
    shown = groups if max_findings is None else groups[:max_findings]
    lines: list[str] = []
    for number, each in enumerate(shown, 1):
        lines += [_RULER, *_finding(each.first, number), *_others(each), ""]
    if shown:
        lines += [_RULER, f"Reproduce: {shlex.join(report.command)}", ""]
    lines += _summary(report, len(groups), len(shown))
    return "\n".join(lines) + "\n"


def details(finding: Finding) -> str:
    """Return one finding: its verdict and everything below it."""
    _, *rest = _finding(finding, 1)
    return "\n".join([verdict(finding), *rest]) + "\n"


def summary(report: Report) -> str:
    """Return what ends the report: counts, suppressed findings, warnings."""
    causes = len(group(report.findings))
    return "\n".join(_summary(report, causes, causes)) + "\n"


def line_of(line: Line) -> list[str]:
    """Return the state of a line's cells, carets under those concerned, and the states in words."""
    return [f"Line at PA {line.pa:#x}, before this access:", *_line(line)]


def verdict(finding: Finding) -> str:
    """Return a finding in one line."""
    access = finding.access
    where = access.symbol or f"{access.pc:#x}"
    if access.op is Op.DMA_RD:
        who = access.device or access.agent
    else:
        who = f"{'guest' if access.vm else 'host'}, MMU {access.mmu}"
    return f"{finding.kind} in {where} ({who}), {_times(finding.count)}"


def _paragraph(head: str, text: str) -> list[str]:
    return wrap(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    ) or [head.rstrip()]


def _sentence(text: str) -> list[str]:
    """Return an indented line; what does not fit is indented further."""
    first, *rest = _paragraph("  ", text)
    return [first, *(f"  {line}" for line in rest)]


def _finding(finding: Finding, number: int) -> Iterator[str]:
    access = finding.access
    yield f"pocwatch: {number}: {verdict(finding)}"
    yield "Access:"
    size = counted(access.size, "byte")
    if access.op is Op.DMA_RD:
        device = words.device(access.agent, access.device)
        yield f"  {words.operation(access.op)} of {size} by {device}, handed over by P{access.pe}"
    else:
        yield (
            f"  {words.operation(access.op)} of {size} by P{access.pe} at "
            f"{words.world(access.el, access.vm, access.vm_id)}, {words.mmu(access.flags)}"
        )
    place = words.code_place(access.pc, access.symbol)
    source = f" at {access.source}" if access.source else ""
    yield from _sentence(f"pc {place}{source}, instruction {access.insn:#010x}")
    ipa = "" if access.ipa is None else f" -> IPA {access.ipa:#x}"
    va = "" if access.op is Op.DMA_RD else f"VA {access.va:#x}{ipa} -> "
    yield f"  {va}PA {access.pa:#x}"
    yield from _paragraph("  ", words.attributes(access))
    yield from _callers(access.stack)
    yield "Latest data written by:"
    yield from _writer(finding.writer)
    yield f"Maintenance of this line{' (older forgotten)' if finding.history_truncated else ''}:"
    if not finding.maintenance:
        since = " since that write" if finding.writer else ""
        yield f"  none{since}"
    for entry in finding.maintenance:
        event = entry.event
        place = words.code_place(event.pc, event.symbol)
        source = f" at {event.source}" if event.source else ""
        yield from _sentence(f"{event.op.spelling} by {event.agent} in {place}{source}")
        if event.stack[1:]:
            yield from _paragraph("    ", f"called by {words.callers(event.stack)}")
        yield from _paragraph("    ", entry.why_not_enough)
    yield from line_of(finding.line)
    yield from _paragraph("Rule: ", finding.rule)
    if finding.repair:
        yield from _paragraph("Repair: ", "; ".join(finding.repair))


def _callers(stack: Sequence[Frame]) -> Iterator[str]:
    """Lines for all frames but the innermost, which is the access itself."""
    if stack[1:]:
        yield "  called by:"
    for frame in stack[1:]:
        yield f"    {words.code_place(frame.pc, frame.symbol)}"


def _others(same: Group) -> Iterator[str]:
    rest = same.findings[1:]
    if not rest:
        return
    names = dict.fromkeys(f.access.symbol or f"{f.access.pc:#x}" for f in rest)
    some = list(names)[:_OTHER_PLACES]
    more = f" and {len(names) - len(some):,} more" if len(names) > len(some) else ""
    places = counted(len(rest), "more place")
    times = _times(same.count - same.first.count)
    yield from _paragraph("", f"Same cause at {places}, {times}: {', '.join(some)}{more}")


def _writer(event: Event | None) -> Iterator[str]:
    if event is None:
        yield "  nobody seen: the initial contents of RAM, or forgotten"
        return
    if event.op is Op.DMA_WR:
        yield f"  {words.operation(event.op)} by {words.device(event.agent, event.device)}"
        yield f"  {words.write_attributes(event)}"
        return
    yield from _sentence(
        f"{words.operation(event.op)} by {event.agent} at "
        f"{words.world(event.el, event.vm, event.vm_id)} in "
        f"{words.code_place(event.pc, event.symbol)}"
        f"{f' at {event.source}' if event.source else ''}"
    )
    yield f"  {words.write_attributes(event)}"


def _line(line: Line) -> Iterator[str]:
    offsets = [f"+{cell * _CELL_BYTES:02x}" for cell in range(len(line.states))]
    states = [str(state) for state in line.states]
    width = max(len(text) for text in (*offsets, *states)) + 2
    yield "  bytes" + "".join(text.rjust(width) for text in offsets)
    yield "  state" + "".join(text.rjust(width) for text in states)
    stale = line.states[line.stale_cell]
    carets = [
        "^" * len(text) if state == stale else ""
        for state, text in zip(line.states, states, strict=True)
    ]
    yield ("       " + "".join(text.rjust(width) for text in carets)).rstrip()
    explained = dict(zip(states, line.state_text, strict=False))
    for state, text in explained.items():
        yield from _paragraph(f"  {state}: ", text)


def _summary(report: Report, causes: int, shown: int) -> Iterator[str]:
    ended = "" if report.complete else f"  PARTIAL: {report.failure or 'the run did not end'}"
    found = counted(len(report.findings), "finding")
    if causes < len(report.findings):
        found += f" of {counted(causes, 'cause')}"
    yield f"pocwatch: {found} on platform {report.platform}{ended}"
    if shown < causes:
        hidden = counted(causes - shown, "more cause")
        yield f"  {hidden} not shown (--max-findings); --json has all"
    counters = (
        (report.instructions, "instruction"),
        (report.accesses, "data access"),
        (report.walks, "translation table walk"),
        (sum(report.maintenance.values()), "maintenance operation"),
    )
    yield from _paragraph("  ", ", ".join(counted(*each) for each in counters))
    for op, count in report.maintenance.items():
        useless = report.redundant.get(op)
        share = f", {useless:,} redundant ({100 * useless / count:.1f} %)" if useless else ""
        yield f"    {op:<11} {count:>14,}{share}"
    for number, device in enumerate(report.devices):
        how = "coherent" if device.coherent else "non-coherent"
        used = f"{counted(device.lines_read, 'line')} read, {device.lines_written:,} written"
        yield f"  D{number} {device.name}, {how}: {used}"
    for rule, count in report.dropped.items():
        yield f"  rule {rule!r} applied {_times(count)}"
    for entry in report.suppressed:
        seen = f"{counted(entry.count, 'finding')}, seen {_times(entry.occurrences)}"
        yield f"  suppressed by {entry.rule!r}: {seen}"
        yield from _paragraph("    ", entry.reason)
    if report.known is not None:
        known = counted(report.known.count, "finding")
        seen = f", seen {_times(report.known.occurrences)}" if report.known.count else ""
        yield f"  known from {report.known.baseline}: {known}{seen}"
    for warning in report.warnings:
        yield from _paragraph("  warning: ", warning)


def counted(count: int, noun: str) -> str:
    """Return so many of something, in words."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}" if count else f"no {noun}{plural}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
