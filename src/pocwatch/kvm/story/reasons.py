"""Why the maintenance of a story was not enough, and which rules of the architecture that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pocwatch.arch import manual
from pocwatch.arch.ops import (
    DATA_MAINTENANCE,
    INSTRUCTION_MAINTENANCE,
    OUTER_MAINTENANCE,
    By,
    Kind,
    Op,
    Point,
)
from pocwatch.kvm.story.rows import Picture, Row
from pocwatch.line import model
from pocwatch.line.behaviour import By as Whose
from pocwatch.line.behaviour import Move
from pocwatch.line.line import read_kind
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

_MAINTENANCE = {*DATA_MAINTENANCE, *INSTRUCTION_MAINTENANCE, *OUTER_MAINTENANCE}


def not_enough(
    platform: Platform, rows: Sequence[Row], read: Step, latest: int
) -> Iterator[str]:
    """Yield, for each maintenance of the page in the story, why the read is stale all the same.

    `latest` is the row of the write that should be read.
    """
    told: dict[str, list[int]] = {}
    last = rows[-1].picture
    for row in rows:
        for move in row.moves:
            if move.by is Whose.SOFTWARE and move.op in _MAINTENANCE:
                reason = _reason(platform, move, row.number < latest, read, last)
                told.setdefault(reason, []).append(row.number)
    if latest and all(row < latest for found in told.values() for row in found):
        write = next(row for row in rows if row.number == latest)
        yield (
            f"between the write in row {latest} ({write.agent} {write.event}) and the read in row "
            f"{rows[-1].number} nobody maintains the page"
        )
    for reason, numbers in told.items():
        yield f"{_rows(numbers)}: {reason}"


def _rows(numbers: Sequence[int]) -> str:
    numbers = list(dict.fromkeys(numbers))
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    return f"rows {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _reason(platform: Platform, move: Move, early: bool, read: Step, last: Picture) -> str:
    op, name = move.op, move.act.split(" ", 1)[1]
    assert op is not None
    uncached = read_kind(read) is not Kind.WB
    if early:
        return f"{name} comes before the latest write"
    if f"P{move.issuer} {op.spelling}" in last.pending:
        return f"{name} need not have taken effect: P{move.issuer} has executed no dsb since"
    if move.note:
        return f"{name} {move.note}"
    if op in INSTRUCTION_MAINTENANCE:
        if read.op is not Op.IF:
            return f"{name} is about instruction caches; the read is of data"
        if op is Op.IC_IALLU and move.issuer != read.agent:
            return f"{name} empties the I-cache of P{move.issuer}; P{read.agent} fetches"
        return f"{name} empties the I-cache, which then takes what lies behind it"
    if read.op is Op.IF and last.icache is not model.Copy.ABSENT:
        return f"{name} is about data caches; the old instruction is in the I-cache"
    reached = model.maintained_levels(platform, op)
    beyond = [level.name for n, level in enumerate(platform.levels) if n not in reached]
    maintenance = DATA_MAINTENANCE.get(op)
    if maintenance and maintenance.by is By.SET_WAY:
        if platform.pes > 1:
            missed = f", and not on {' and '.join(beyond)}" if beyond else ""
            return f"{name}, by set/way, works on P{move.issuer}'s own caches only{missed}"
        return f"{name}, by set/way, does not reach {' and '.join(beyond)}"
    if maintenance and maintenance.point is Point.POU:
        level = platform.levels[platform.pou].name
        where = "; the read looks at memory" if uncached else ""
        return f"{name} cleans to the Point of Unification, {level}{where}"
    if beyond:
        return f"{name} does not reach {' and '.join(beyond)}"
    if maintenance and not maintenance.invalidate and not uncached:
        return f"{name} cleans, and leaves the old copy where it is"
    return f"{name} is undone by what follows"


def rules(
    rows: Sequence[Row], read: Step, read_verdict: str, write: Step | None
) -> Iterator[str]:
    """Yield the rules of the Arm ARM that the story turns on. `write` is the latest one."""
    kind = read_kind(read)
    moves = [move for row in rows for move in row.moves]
    last = rows[-1].picture
    if read_verdict == "unsynced":
        yield manual.UNSYNCED
    elif not last.memory_latest and not any(copy.latest for copy in last.levels):
        yield manual.LOST_WRITE
    elif read.op is Op.IF and (kind is Kind.WB or last.icache is not model.Copy.ABSENT):
        yield manual.STALE_FETCH
    else:
        reader = {Op.IF: "an instruction fetch", Op.DMA_RD: "a device's read"}.get(read.op, "a read")
        yield manual.mismatched(
            reader,
            written_cacheable=write is None or read_kind(write) is Kind.WB,
            read_cacheable=kind is Kind.WB,
        )
    if "M=0" in rows[-1].why:
        yield manual.STAGE1_OFF
    if any(m.by is Whose.HARDWARE for m in moves):
        yield manual.MOVES
    issued = {m.op for m in moves if m.by is Whose.SOFTWARE and m.op is not None}
    if any(DATA_MAINTENANCE[op].by is By.SET_WAY for op in issued & set(DATA_MAINTENANCE)):
        yield manual.SET_WAY
    if last.pending:
        yield manual.COMPLETION
