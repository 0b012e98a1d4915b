"""A report that a test makes claims about; a claim that is wrong fails with the report's text."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.report import text
from pocwatch.sanitizer.findings import Finding, Report


@dataclass(frozen=True)
class CheckedReport:
    """What a machine showed. `report` has all of it; its findings are those not suppressed."""

    report: Report

    @property
    def findings(self) -> Sequence[Finding]:
        """The findings, in the order seen."""
        return self.report.findings

    def __str__(self) -> str:
        return text.render(self.report)

    def assert_clean(self) -> None:
        """Claim that nothing was found."""
        __tracebackhide__ = True
        if self.findings:
            raise AssertionError(f"pocwatch: not clean\n{self}")

    def assert_finding(
        self,
        *,
        kind: str | None = None,
        symbol: str | None = None,
        writer: str | None = None,
        guest: bool | None = None,
    ) -> Finding:
        """Claim that there is a finding like this; return the first.

        `symbol` is of the code that may see stale data, `writer` of the code that wrote the latest:
        shell patterns, matched with and without `+0xoffset`.
        """
        __tracebackhide__ = True
        for finding in self.findings:
            wrote = finding.writer.symbol if finding.writer else None
            if (
                kind in (None, finding.kind)
                and _matches(finding.access.symbol, symbol)
                and _matches(wrote, writer)
                and guest in (None, finding.access.vm)
            ):
                return finding
        asked = {"kind": kind, "symbol": symbol, "writer": writer, "guest": guest}
        said = ", ".join(f"{key}={value!r}" for key, value in asked.items() if value is not None)
        raise AssertionError(f"pocwatch: no finding with {said or 'anything'}\n{self}")


def _matches(symbol: str | None, pattern: str | None) -> bool:
    if pattern is None:
        return True
    names = () if symbol is None else (symbol, symbol.split("+")[0])
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
