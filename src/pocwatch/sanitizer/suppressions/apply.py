"""Which findings suppressions take out, and that they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pocwatch.sanitizer.findings import Finding, Report, Suppressed
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.trace.records import Flag


def provoked(finding: Finding) -> bool:
    """Say whether a rule took away what could have prevented the finding.

    Maintenance from before the latest write could not, but for a lost write: there the line had to
    be cleaned before.
    """
    writer = None if finding.kind == "lost-write" else finding.writer
    since = writer.seq if writer else 0
    return any(
        event.flags & (Flag.DROPPED | Flag.WEAKENED) and event.seq > since
        for event in finding.history
    )


def sort_out(
    found: Sequence[Finding], accepted: Sequence[Suppression]
) -> tuple[list[Finding], list[Suppressed]]:
    """Split findings into those to report and those that suppressions took out.

    A finding that a `--drop` or `--weaken` rule provoked is never suppressed.
    """
    kept: list[Finding] = []
    taken: dict[Suppression, list[Finding]] = {}
    for finding in found:
        match = next((s for s in accepted if s.matches(finding)), None)
        if match is None or provoked(finding):
            kept.append(finding)
        else:
            taken.setdefault(match, []).append(finding)
    return kept, [
        Suppressed(rule.name, len(each), sum(f.count for f in each), rule.reason, tuple(each))
        for rule, each in taken.items()
    ]


def apply(report: Report, accepted: Sequence[Suppression]) -> Report:
    """Return a report without the findings that are accepted, which it counts."""
    kept, suppressed = sort_out(report.findings, accepted)
    return replace(report, findings=kept, suppressed=[*report.suppressed, *suppressed])
