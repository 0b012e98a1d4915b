"""Rows of a story as renderings show them: those that change nothing join the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocwatch.kvm.story.rows import ICACHE, Mark, Picture, Row, Story
from pocwatch.line.model import Copy

LEGEND = (
    "c clean, d dirty; * latest, - stale; the number is that of the row that wrote it (0: what was "
    "there before)"
)
_ACCESSES = ("st", "ld", "tw", "if", "wr", "rd")


@dataclass(frozen=True, slots=True)
class Shown:
    """One or more consecutive rows of an agent. Nothing is left out: their texts are joined."""

    first: int
    last: int
    agent: str
    text: str
    picture: Picture
    mark: Mark
    rows: tuple[Row, ...]

    @property
    def number(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def shown(story: Story) -> list[Shown]:
    """Return the rows of a story, those that change nothing of the page joined to the one before.

    Reasons are given for accesses only.
    """
    named = {d for row in story.rows for d in (row.picture.data.memory, *row.picture.data.levels)}
    starts = {number for _, number in (story.remedy.rows if story.remedy else ())}
    groups: list[list[Row]] = []
    for row in story.rows:
        last = groups[-1][-1] if groups else None
        if last is not None and _joins(last, row, named, starts):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [_shown(group) for group in groups]


def _joins(last: Row, row: Row, named: set[int | None], starts: set[int]) -> bool:
    return (
        row.agent == last.agent
        and row.picture == last.picture
        and row.mark is last.mark is Mark.PLAIN
        and row.hook == last.hook
        and not named & {row.number, last.number}
        and row.number not in starts
    )


def _shown(group: Sequence[Row]) -> Shown:
    texts = []
    for row in group:
        elsewhere = " (another page)" if row.elsewhere else ""
        accesses = any(step.split()[1] in _ACCESSES for step in row.steps)
        why = f" ({row.why})" if row.why and accesses else ""
        texts.append(f"{row.event}{elsewhere}{why}")
    text = "; ".join(texts)
    if group[0].hook:
        text += f" [{group[0].hook}]"
    pending = group[-1].picture.pending
    if pending and group[-1].mark is not Mark.STALE:
        text += f" (pending: {', '.join(pending)})"
    return Shown(
        group[0].number,
        group[-1].number,
        group[0].agent,
        text,
        group[-1].picture,
        group[0].mark,
        tuple(group),
    )


def places(story: Story) -> list[str]:
    """Return the headings of what `contents` gives: the levels, memory, and the I-cache if it counts."""
    return [*story.levels, "memory", *([ICACHE] if story.fetcher is not None else [])]


def contents(story: Story, picture: Picture) -> list[str]:
    """Return what each place holds, as LEGEND explains."""
    copies = [
        _copy(copy, data) for copy, data in zip(picture.levels, picture.data.levels, strict=True)
    ]
    memory = f"{'*' if picture.memory_latest else '-'}{picture.data.memory}"
    icache = [_copy(picture.icache, picture.data.icache)] if story.fetcher is not None else []
    return [*copies, memory, *icache]


def _copy(copy: Copy, data: int | None) -> str:
    if copy is Copy.ABSENT:
        return "·"
    return f"{'d' if copy.dirty else 'c'}{'*' if copy.latest else '-'}{data}"
