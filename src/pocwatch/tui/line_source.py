"""The events of a finding's line as a list, and the pages of each: caches, rule, repair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text

from pocwatch.report import text
from pocwatch.report.retrace import Trust
from pocwatch.report.timeline import Role, Timeline
from pocwatch.sanitizer.findings import Access, Event, Finding
from pocwatch.tui import look, state_page
from pocwatch.tui.source import Place, Row, Rows, Searched

_MARKS = {Role.LATEST: "W", Role.MISSING: "!", Role.ACCESS: ">", Role.GAP: "…"}
_STYLES = {
    Role.LATEST: look.HEADING,
    Role.MISSING: look.CHANGED,
    Role.ACCESS: look.BAD,
    Role.GAP: look.FAINT,
}


class LineEvents:
    """What happened to a finding's line, oldest first, the access that went wrong last."""

    noun = "event"
    pages = ("state", "rule")

    def __init__(self, finding: Finding, timeline: Timeline) -> None:
        self.finding = finding
        self.timeline = timeline

    @property
    def heading(self) -> str:
        line = self.finding.line
        cell = state_page.bytes_of(line.stale_cell)
        trust = self.timeline.trust
        known = "" if trust is Trust.WHOLE else f", states known {trust.value}"
        return f"{text.verdict(self.finding)}: PA {line.pa:#x} {cell}{known}"

    def __len__(self) -> int:
        return len(self.timeline.steps)

    def window(self, start: int, stop: int, width: int) -> Sequence[Row]:
        return [self._row(index, width) for index in range(start, stop)]

    def _row(self, index: int, width: int) -> Row:
        step = self.timeline.steps[index]
        style = _STYLES.get(step.role, Style())
        row = Text(f"{index + 1:>4} ", end="")
        row.append(f"{_MARKS.get(step.role, ' ')} {step.agent:<3} {step.world:<12.12} ", style)
        row.append(f"{step.operation:<10} ", style)
        row.append(step.where or "; ".join(step.notes), look.CODE if step.where else look.FAINT)
        change = f" {state_page.changed(step.before, step.after)} "
        row.truncate(width - max(len(change), 8), overflow="ellipsis", pad=True)
        row.append(change, look.CHANGED if step.changed else look.FAINT)
        return Row(row)

    def position(self, index: int) -> str:
        return f"{index + 1}/{len(self)}"

    def below(self, index: int) -> Rows | None:
        return None

    def page(self, name: str, index: int) -> list[Text]:
        if name == "repair":
            return repair(self.finding)
        step = self.timeline.steps[index]
        if name == "rule":
            return state_page.rule(self.finding, self.timeline, step)
        return state_page.state(self.finding, self.timeline, step)

    def toggle(self, index: int) -> int | None:
        return None

    def close(self, index: int) -> int | None:
        return None

    def toggle_all(self, index: int) -> int | None:
        return None

    def rethread(self, index: int) -> tuple[Rows, int, str] | None:
        return None

    @property
    def complete(self) -> bool:
        return True

    def grow(self) -> None:
        pass

    def row_of(self, number: int) -> int:
        return number - 1

    def search(self, wanted: str, index: int, step: int) -> Iterator[Searched]:
        total = len(self)
        for distance in range(1, total + 1):
            found = (index + step * distance) % total
            lines = (line.plain for line in self.page("state", found))
            if wanted.casefold() in " ".join(lines).casefold():
                yield Searched(found, 1.0, around=not 0 <= index + step * distance < total)
                return

    def reveal(self, found: int) -> int:
        return found

    def place(self, index: int) -> Place:
        step = self.timeline.steps[index]
        if step.role is Role.GAP:
            return Place(None, 0, "no source line: these events were forgotten")
        return place_of(step.event or self.finding.access)

    def findings(self, index: int) -> Sequence[Finding]:
        """Return the finding: its events are not findings, but it is what one looks at."""
        return (self.finding,)


def place_of(record: Access | Event) -> Place:
    """Return the source line of an access or event, or what is missing for it."""
    if record.source is not None:
        return Place(record.source.file, record.source.line)
    if record.symbol is None:
        return Place(None, 0, f"no source line: nothing is known of the code at {record.pc:#x}")
    return Place(
        None,
        0,
        f"no source line for {record.symbol}: `run --symbols` had no DWARF for it",
    )


def repair(finding: Finding) -> list[Text]:
    """Return the repair of a finding: what, between which two places, and what was done instead."""
    if not finding.repair:
        lines = ["Repair: none: the latest data may be lost, whatever is done before this access"]
        return look.page([*lines, "", *_between(finding)])
    heading = "Repair, the cheapest maintenance that makes the access fresh:"
    if finding.kind == "lost-write":
        heading = "Repair, what should have been done before the write:"
    lines = [heading, *(f"  {step}" for step in finding.repair), "", *_between(finding)]
    for entry in finding.maintenance:
        event = entry.event
        lines.append(
            f"  {event.op.spelling} by {event.agent} in {event.symbol or f'{event.pc:#x}'}"
        )
        lines.append(f"    {entry.why_not_enough}")
    if not finding.maintenance:
        lines.append("  none")
    return look.page(lines)


def _between(finding: Finding) -> list[str]:
    access, writer = finding.access, finding.writer
    after = "nobody seen: the initial contents of RAM, or forgotten"
    if writer is not None:
        after = f"{writer.agent} in {writer.symbol or f'{writer.pc:#x}'}"
    return [
        "Between:",
        f"  the write    {after}",
        f"  the access   P{access.pe} in {access.symbol or f'{access.pc:#x}'}",
        "",
        "Maintenance that was not enough:",
    ]
