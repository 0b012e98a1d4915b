"""What a report or trace is, in the one line above the list."""

from __future__ import annotations

from pocwatch.sanitizer.findings import Report


def heading(report: Report, causes: int) -> str:
    """Return platform, findings, and what one must know before trusting them."""
    found = len(report.findings)
    parts = [
        f"{_counted(found, 'finding')} of {_counted(causes, 'cause')}" if found else "no findings",
        f"platform {report.platform}",
    ]
    if report.suppressed:
        parts.append(f"{sum(each.count for each in report.suppressed):,} suppressed")
    if report.dropped:
        parts.append(_counted(len(report.dropped), "rule"))
    if report.warnings:
        parts.append(_counted(len(report.warnings), "warning"))
    if not report.complete:
        parts.append(f"PARTIAL: {report.failure or 'the run did not end'}")
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
