"""A report as the viewer's lists: findings folded by cause, the events of a finding's line below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform
from pocwatch.report import text, words
from pocwatch.report.groups import Group, group
from pocwatch.report.timeline import timeline
from pocwatch.sanitizer.findings import Finding, Report
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.sanitizer.suppressions.apply import provoked
from pocwatch.tui import line_source, look, summary
from pocwatch.tui.source import Fold, Place, Row, Rows, Searched, SourceError

_WRITER_FROM_WIDTH = 110
_WRITER_COLUMN = 70


@dataclass(frozen=True, slots=True)
class _Shown:
    """A row: a finding by its cause and its number within it."""

    cause: int
    member: int


class Findings:
    """The findings of a report, those of one cause behind the first."""

    noun = "finding"
    pages = ()

    def __init__(
        self, report: Report, platform: Platform, accepted: Sequence[Suppression] = ()
    ) -> None:
        self.report = report
        self._platform = platform  # that the run was judged on
        self._accepted = accepted  # grows when something is suppressed from here
        self._causes: list[Group] = group(report.findings)
        self._before = [0]
        for each in self._causes:
            self._before.append(self._before[-1] + len(each.findings))
        self._open: set[int] = set()
        self._shown: list[_Shown] = []
        self._lay_out()

    @property
    def heading(self) -> str:
        return summary.heading(self.report, len(self._causes))

    def __len__(self) -> int:
        return len(self._shown)

    def _lay_out(self) -> None:
        self._shown = [
            _Shown(cause, member)
            for cause, each in enumerate(self._causes)
            for member in range(len(each.findings) if cause in self._open else 1)
        ]

    def _index(self, cause: int, member: int = 0) -> int:
        return self._shown.index(_Shown(cause, member))

    def _finding(self, index: int) -> Finding:
        shown = self._shown[index]
        return self._causes[shown.cause].findings[shown.member]

    def _number(self, index: int) -> int:
        shown = self._shown[index]
        return self._before[shown.cause] + shown.member + 1

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        return [self._row(index, width) for index in range(start, stop)]

    def _row(self, index: int, width: int) -> Row:
        shown = self._shown[index]
        cause = self._causes[shown.cause]
        finding = cause.findings[shown.member]
        more = len(cause.findings) - 1
        is_open = shown.cause in self._open
        fold = Fold.NONE if shown.member or not more else Fold.OPEN if is_open else Fold.CLOSED
        marker = {Fold.NONE: "     ", Fold.CLOSED: f" +{more:<3}", Fold.OPEN: " −   "}[fold]
        count = cause.count if fold is Fold.CLOSED else finding.count
        row = Text(f"{self._number(index):>4} ", end="")
        row.append("S " if self._is_accepted(finding) else "  ", look.GOOD)
        row.append(f"{finding.kind:<14} ", look.BAD)
        access = finding.access
        row.append(f"{'guest' if access.vm else 'host':<5} MMU {access.mmu:<3}  ")
        if shown.member:
            row.append("└─>" if shown.member == more else "├─>", look.FAINT)
        row.append(access.symbol or f"{access.pc:#x}", look.CODE)
        if width >= _WRITER_FROM_WIDTH:
            row.truncate(_WRITER_COLUMN, overflow="ellipsis", pad=True)
            row.append(f" <- {_writer(finding)}", look.FAINT)
        times = f" {count:,}×"
        row.truncate(width - len(marker) - len(times), overflow="ellipsis", pad=True)
        row.append(times)
        return Row(row, fold, marker)

    def _is_accepted(self, finding: Finding) -> bool:
        return not provoked(finding) and any(each.matches(finding) for each in self._accepted)

    def position(self, index: int) -> str:
        return f"{self._number(index)}/{self._before[-1]}"

    def below(self, index: int) -> Rows | None:
        finding = self._finding(index)
        states = automaton_of(self._platform).states
        if not all(0 <= state < states for state in finding.line.states):
            raise SourceError(
                f"the report's states are not those of {self._platform.name}, which has {states}"
            )
        return line_source.LineEvents(finding, timeline(finding, self._platform))

    def page(self, name: str, index: int) -> list[Text]:
        finding = self._finding(index)
        if name == "repair":
            return line_source.repair(finding)
        return look.page(text.details(finding).splitlines())

    def toggle(self, index: int) -> int | None:
        cause = self._shown[index].cause
        if len(self._causes[cause].findings) == 1:
            return None
        self._open ^= {cause}
        self._lay_out()
        return self._index(cause)

    def close(self, index: int) -> int | None:
        cause = self._shown[index].cause
        return self.toggle(index) if cause in self._open else None

    def toggle_all(self, index: int) -> int | None:
        cause = self._shown[index].cause
        foldable = {n for n, each in enumerate(self._causes) if len(each.findings) > 1}
        if not foldable:
            return None
        self._open = set() if self._open == foldable else foldable
        self._lay_out()
        return self._index(cause)

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        return None

    @property
    def complete(self) -> bool:
        return True

    def grow(self) -> None:
        pass

    def row_of(self, number: int) -> int:
        return self.reveal(min(number, self._before[-1]) - 1)

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        total = self._before[-1]
        start = self._number(index) - 1
        every = [finding for each in self._causes for finding in each.findings]
        for distance in range(1, total + 1):
            number = (start + step * distance) % total
            if wanted.casefold() in _everything(every[number]).casefold():
                around = not 0 <= start + step * distance < total
                yield Searched(number, 1.0, around)
                return

    def reveal(self, found: int) -> int:
        cause = next(n for n, end in enumerate(self._before[1:]) if found < end)
        member = found - self._before[cause]
        if member and cause not in self._open:
            self._open.add(cause)
            self._lay_out()
        return self._index(cause, member)

    def place(self, index: int) -> Place:
        return line_source.place_of(self._finding(index).access)

    def findings(self, index: int) -> Sequence[Finding]:
        """Return a closed fold's findings, else the one of the row."""
        shown = self._shown[index]
        cause = self._causes[shown.cause]
        if shown.cause not in self._open:
            return cause.findings
        return cause.findings[shown.member : shown.member + 1]


def _writer(finding: Finding) -> str:
    writer = finding.writer
    if writer is None:
        return "nobody seen"
    return f"{words.operation(writer.op)} in {writer.symbol or f'{writer.pc:#x}'}"


def _everything(finding: Finding) -> str:
    """Return all that is said of a finding: what a search looks at."""
    return " ".join(text.details(finding).split())
