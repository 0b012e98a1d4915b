"""Findings that an earlier report has too: only what is new is reported and counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pocwatch.report import load as loading
from pocwatch.report.fingerprint import fingerprint
from pocwatch.sanitizer.findings import Known, Report


@dataclass(frozen=True, slots=True)
class Baseline:
    """The fingerprints of a report, and the file it came from."""

    name: str
    fingerprints: frozenset[str]


def load(path: Path) -> Baseline:
    """Read a report of --json or --jsonl. Raise UsageError naming what is wrong with it."""
    report = loading.load(path)
    return Baseline(str(path), frozenset(map(fingerprint, report.findings)))


def apply(report: Report, baseline: Baseline) -> Report:
    """Return the report with the findings that the baseline lacks; it counts the others."""
    new = [f for f in report.findings if fingerprint(f) not in baseline.fingerprints]
    old = [f for f in report.findings if fingerprint(f) in baseline.fingerprints]
    known = Known(baseline.name, len(old), sum(f.count for f in old))
    return replace(report, findings=new, known=known)
