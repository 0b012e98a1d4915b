"""Whose a finding is: the program's, or the kernel's own.

The program's are those of EL0 code, what EL0 code wrote and the kernel then read wrongly, and what the
kernel did at a user address on its behalf. The others are the kernel's, which `pocwatch run` is for.
"""

from __future__ import annotations

from dataclasses import replace

from pocwatch.sanitizer.findings import Finding, Report, Suppressed

_USER_SPACE_END = 1 << 48  # TTBR0's half, for 48-bit addresses
_REASON = "the kernel's own: neither its code nor its data are the program's; --kernel reports them"


def of_program(finding: Finding) -> bool:
    """Say whether a finding concerns the program."""
    access, writer = finding.access, finding.writer
    return (
        access.el == 0
        or (writer is not None and writer.el == 0)
        or (access.el == 1 and access.mmu == "on" and access.va < _USER_SPACE_END)
    )


def without_kernel(report: Report) -> Report:
    """Return the report with the kernel's own findings counted instead of reported."""
    mine = [finding for finding in report.findings if of_program(finding)]
    others = tuple(finding for finding in report.findings if not of_program(finding))
    if not others:
        return report
    counted = Suppressed("kernel", len(others), sum(f.count for f in others), _REASON, others)
    return replace(report, findings=mine, suppressed=[*report.suppressed, counted])
