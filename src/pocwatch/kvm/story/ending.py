"""How a story ends: what the stale read gets, what it should have got, and how that came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocwatch.arch.ops import Kind, Op
from pocwatch.kvm.scenario import Role
from pocwatch.kvm.story.rows import CACHES, ICACHE, Ending, Picture, Row
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Word
from pocwatch.line import provenance
from pocwatch.line.line import read_kind
from pocwatch.line.model import Copy
from pocwatch.line.provenance import BEFORE
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

_ZEROES = "zeroes a new page"  # kernel.Allocate


def ending(
    system: System, rows: Sequence[Row], read: Step, verdict: Word, read_verdict: str, latest: int
) -> Ending:
    """Return the read, which is the last row, in words; `latest` is the row of the latest write."""
    row = rows[-1]
    got = whose(system.platform, rows, read) if read_verdict == "stale" else None
    if got is None:
        gets = "what its pipeline took before the instruction became coherent"
    else:
        gets = _data_of(system, rows, got)
        if verdict is Word.LEAK:
            gets += ": another tenant's data"
    return Ending(
        agent=row.agent,
        event=row.event,
        why=row.why,
        step=row.steps[-1],
        verdict=read_verdict,
        looks_at=_looks_at(system.platform, read),
        latest=latest,
        got=got,
        gets=gets,
        instead_of=_data_of(system, rows, latest),
        how=_how(system.platform, rows, read, read_verdict),
        place="" if got is None else _place(system.platform, rows[-1].picture, read)[0],
    )


def whose(platform: Platform, rows: Sequence[Row], read: Step) -> int:
    """Return the row of the write that the read gets the data of."""
    return provenance.read_by(platform, rows[-1].picture.data, read)


def _data_of(system: System, rows: Sequence[Row], number: int) -> str:
    if number == BEFORE:
        first = next((r for r in rows if r.event == _ZEROES and not r.elsewhere), None)
        if first is None:
            return "what memory held before all this, of whoever had the page"
        return f"what memory held of the page's last owner, before row {first.number} zeroed it"
    row = rows[number - 1]
    if row.event == _ZEROES:
        return f"the zeroes of row {number}"
    agent = next(a for a in system.agents if a.name == row.agent)
    article = "" if agent.role is Role.VCPU else "the "
    several = system.scenario.vms > 1 and agent.role is Role.VCPU
    return f"what {article}{row.agent}{f' of VM {agent.vm}' if several else ''} wrote in row {number}"


def _looks_at(platform: Platform, read: Step) -> str:
    cached = read_kind(read) is Kind.WB
    if read.op is Op.IF:
        source = platform.levels[platform.pou].name if cached else "memory"
        return f"P{read.agent}'s I-cache, else {source}"
    return f"{platform.levels[0].name} first" if cached else "memory, not the caches"


def _how(platform: Platform, rows: Sequence[Row], read: Step, read_verdict: str) -> str:
    """Return where the latest data is, and since when old data is where the read looks."""
    now = rows[-1].picture
    has = [
        f"{level.name} ({'dirty' if copy.dirty else 'clean'})"
        for level, copy in zip(platform.levels, now.levels, strict=True)
        if copy.latest
    ]
    has += ["memory"] if now.memory_latest else []
    latest = f"the latest data is in {' and '.join(has)}" if has else "the latest data is lost"
    if read_verdict != "stale":
        return latest
    place, looked = _place(platform, now, read)
    since = len(rows)
    while since > 1 and looked(rows[since - 2].picture) == looked(now):
        since -= 1
    row = rows[since - 1]
    who = "" if row.agent == CACHES else f"{row.agent}: "
    when = "from the start" if since == 1 else f"since row {since} ({who}{row.event})"
    owner = f"P{read.agent}'s " if place == ICACHE else ""
    return f"{latest}; {owner}{place} has held the old data {when}"


def _place(
    platform: Platform, now: Picture, read: Step
) -> tuple[str, Callable[[Picture], int | None]]:
    """Return the place that answers the read, and how to see whose data is there."""
    if read.op is Op.IF and now.icache is not Copy.ABSENT:
        return ICACHE, lambda picture: picture.data.icache
    if read_kind(read) is Kind.WB:
        enters = platform.pou if read.op is Op.IF else 0
        held = [n for n in range(enters, len(now.levels)) if now.levels[n] is not Copy.ABSENT]
        if held:
            return platform.levels[held[0]].name, lambda picture: picture.data.levels[held[0]]
    return "memory", lambda picture: picture.data.memory
