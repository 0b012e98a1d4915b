"""When the things that findings tell of happened, in instructions, as far as a report knows.

A report has the instruction count of each finding, and of history only the order (`Event.seq`). So an
event is put as late as the order allows: before whatever came later, and before the first access that
found it in its line's history. No two happenings share an instant: where counts would, the earlier is
moved ahead by an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pocwatch.report.retrace import events_of
from pocwatch.sanitizer.findings import Event, Finding


class Happened(NamedTuple):
    """An event of a line, as one happening in whatever findings it is told: an operation by set/way
    or on a block has a happening for each line."""

    line_pa: int
    seq: int
    agent: str
    op: int
    pc: int

    @classmethod
    def of(cls, finding: Finding, event: Event) -> Happened:
        """Return what an event of a finding is known by."""
        return cls(finding.line.pa, event.seq, event.agent, int(event.op), event.pc)


@dataclass(frozen=True)
class Instants:
    """Instants of events, and of the access of each finding, by its position: instructions."""

    events: dict[Happened, int] = field(default_factory=dict)
    accesses: dict[int, int] = field(default_factory=dict)


def instants(findings: Sequence[Finding]) -> Instants:
    """Return when everything happened; every instant is another number, none is negative."""
    latest: dict[Happened, int] = {}
    listed: set[Happened] = set()
    for finding in findings:
        for event, added in events_of(finding):
            key = Happened.of(finding, event)
            latest[key] = min(latest.get(key, finding.instructions), finding.instructions)
            if not added:
                listed.add(key)

    def rank(key: Happened) -> tuple[int, bool, Happened]:
        # A writer that is not in the history has the number of the event that it came after.
        return key.seq, key not in listed, key

    order: list[tuple[int, int, int, Happened | None]] = []
    bound = None
    for key in sorted(latest, key=rank, reverse=True):
        bound = latest[key] if bound is None else min(bound, latest[key])
        order.append((bound, 0, 0, key))
    order.reverse()  # rising, as Happened do: the sort below is stable
    order += [(finding.instructions, 1, i, None) for i, finding in enumerate(findings)]
    order.sort(key=lambda entry: entry[:3])
    return _apart(order)


def _apart(order: Sequence[tuple[int, int, int, Happened | None]]) -> Instants:
    """Give happenings, in order and each with the latest it can be, instants of their own."""
    found = Instants()
    placed: list[int] = []
    following: int | None = None
    for bound, *_ in reversed(order):
        following = bound if following is None else min(bound, following - 1)
        placed.append(following)
    ahead = max(0, -following) if following is not None else 0  # more happened than was executed
    for (_, _, position, key), instant in zip(order, reversed(placed), strict=True):
        if key is None:
            found.accesses[position] = instant + ahead
        else:
            found.events[key] = instant + ahead
    return found
