"""Findings with one cause, together: one lost maintenance gives thousands of places."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pocwatch.sanitizer.findings import Finding


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one kind and cause, in the order seen."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that is reported in full."""
        return self.findings[0]

    @property
    def count(self) -> int:
        """How often any of them happened."""
        return sum(finding.count for finding in self.findings)


def _function(symbol: str | None, pc: int) -> Hashable:
    return symbol.split("+")[0] if symbol else pc


def _cause(finding: Finding) -> Hashable:
    access, writer = finding.access, finding.writer
    culprit = finding.maintenance[-1] if finding.maintenance else None
    return (
        finding.kind,
        access.vm,
        access.mmu,
        access.kind,
        writer and (writer.op, writer.kind, _function(writer.symbol, writer.pc)),
        culprit and (_function(culprit.event.symbol, culprit.event.pc), culprit.why_not_enough),
        # Without a writer or maintenance nothing says that two places belong together.
        None if writer and culprit else _function(access.symbol, access.pc),
    )


def group(findings: Sequence[Finding]) -> list[Group]:
    """Return the groups, in the order of their first findings."""
    found: dict[Hashable, list[Finding]] = {}
    for finding in findings:
        found.setdefault(_cause(finding), []).append(finding)
    return [Group(tuple(each)) for each in found.values()]
