"""Pages of an event: what caches and memory may hold before and after it, and the rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from pocwatch.arch import manual
from pocwatch.line import emit
from pocwatch.line.contents import Bar
from pocwatch.line.model import Copy
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform
from pocwatch.report import text, words
from pocwatch.report.timeline import Role, Situation, Step, Timeline
from pocwatch.sanitizer.findings import Finding
from pocwatch.tui import look

_CELL_BYTES = 8
_COPIES = {
    Copy.ABSENT: "absent",
    Copy.LATEST_CLEAN: "latest",
    Copy.LATEST_DIRTY: "latest dirty",
    Copy.STALE_CLEAN: "stale",
    Copy.STALE_DIRTY: "stale dirty",
}
_STALE = (Copy.STALE_CLEAN, Copy.STALE_DIRTY)
_MAY, _SINCE, _GONE, _CANNOT = "x", "+", "-", "."
_WIDTH = 14
# Of an event that is no finding: what its page of the rule says.
GENERAL_RULE = manual.MOVES


def bytes_of(cell: int) -> str:
    """Return which bytes of its line a cell is."""
    return f"+{cell * _CELL_BYTES:02x}"


def _numbers(situation: Situation) -> str:
    return ",".join(map(str, situation.states)) or "?"


def changed(before: Situation, after: Situation) -> str:
    """Return the state's number, or the two before and after an event."""
    was, now = _numbers(before), _numbers(after)
    return was if was == now else f"{was} → {now}"


def happened(finding: Finding, step: Step) -> Iterator[str]:
    """Yield what happened at a step, and what is to be known of it."""
    if step.role is Role.GAP:
        yield from step.notes
        return
    record = step.event or finding.access
    world = f" at {step.world}" if step.world else ""
    place = f" in {words.code_place(record.pc, record.symbol)}" if step.where else ""
    latest = ", the latest write" if step.role is Role.LATEST else ""
    yield f"{step.operation} by {step.agent}{world}{place}{latest}"
    if record.source is not None:
        yield f"  source {record.source}"
    if record.stack[1:]:
        yield f"  called by {words.callers(record.stack)}"
    why = [e.why_not_enough for e in finding.maintenance if e.event == step.event]
    yield from (f"  {n}" for n in step.notes if not any(each.startswith(n) for each in why))
    yield from (f"  not enough: {each}" for each in why)


def state(finding: Finding, timeline: Timeline, step: Step) -> list[Text]:
    """Return the page of the caches' state at a step of a finding."""
    lines = look.page(happened(finding, step))
    lines.append(Text())
    line = finding.line
    what = f"PA {line.pa + line.stale_cell * _CELL_BYTES:#x}, cell {bytes_of(line.stale_cell)}"
    when = "before this access" if step.role is Role.ACCESS else "by this event"
    lines.append(Text.assemble(("What may be held of ", look.HEADING), f"{what}, {when}:", end=""))
    lines += table(step.before, step.after)
    lines.append(Text())
    lines += states(step.before, step.after, timeline.meanings)
    if step.lost:
        lines.append(Text("  from here on the latest data may be gone", look.BAD, end=""))
    if step.role is Role.ACCESS:
        lines += [Text(), *look.page(text.line_of(line))]
    return lines


def table(before: Situation, after: Situation) -> list[Text]:
    """Return what every cache and memory may hold: a row each, a column for each kind of copy."""
    if not before.known and not after.known:
        return [Text("  not known: the history that is kept does not tell", end="")]
    heading = Text("  " + " " * 10, end="")
    for copy, name in _COPIES.items():
        heading.append(f"{name:<{_WIDTH}}", look.BAD if copy in _STALE else look.HEADING)
    was = {bar.name: bar for bar in _bars(before)}
    rows = [heading, *(_bar(bar, was.get(bar.name, bar)) for bar in _bars(after))]
    legend = f"  {_MAY} may, {_SINCE} may from here on, {_GONE} no longer, {_CANNOT} cannot"
    return [*rows, Text(legend, look.FAINT, end="")]


def _bars(situation: Situation) -> tuple[Bar, ...]:
    icache = situation.icache
    return situation.bars if icache is None else (icache, *situation.bars)


def _bar(bar: Bar, was: Bar) -> Text:
    row = Text(f"  {bar.name:<10}", end="")
    for copy in _COPIES:
        now, before = copy in bar.may_hold, copy in was.may_hold
        if bar.is_memory and copy in (Copy.ABSENT, Copy.LATEST_DIRTY, Copy.STALE_DIRTY):
            row.append(" " * _WIDTH)  # memory has no such copies
            continue
        sign = {
            (True, True): _MAY,
            (True, False): _SINCE,
            (False, True): _GONE,
            (False, False): _CANNOT,
        }[now, before]
        style = look.FAINT
        if now:
            style = look.BAD if copy in _STALE else look.GOOD
        elif before:
            style = look.CHANGED
        row.append(f"{sign:<{_WIDTH}}", style)
    return row


def states(before: Situation, after: Situation, meanings: Sequence[str]) -> list[Text]:
    """Return the states before and after an event in words."""
    head = "State" if before.states == after.states else "States, before and after"
    shown = dict.fromkeys((*before.states, *after.states))
    lines = [f"{head}: {changed(before, after)}"]
    return look.page([*lines, *(f"  {number}: {meanings[number]}" for number in shown)])


def cells(states: Sequence[tuple[int, ...]], touched: range) -> list[Text]:
    """Return the states of a line's cells after an event, carets under those that it touched."""
    numbers = [",".join(map(str, each)) for each in states]
    width = max(5, *(len(each) + 2 for each in numbers))
    rows = (
        "  bytes" + "".join(bytes_of(cell).rjust(width) for cell in range(len(states))),
        "  state" + "".join(each.rjust(width) for each in numbers),
        "       " + "".join(("^" * (cell in touched)).rjust(width) for cell in range(len(states))),
    )
    return look.page(["Cells of the line, after this event:", *rows])


def rule(finding: Finding, timeline: Timeline, step: Step) -> list[Text]:
    """Return the page of the architecture's rule, and what the automaton makes of the state."""
    lines = [f"Rule: {finding.rule}", ""]
    lines += happened(finding, step)
    where = step.before if step.before.known else step.after
    for number in where.states or (finding.line.states[finding.line.stale_cell],):
        lines += ["", *automaton_row(timeline.platform, number)]
    return look.page(lines)


def automaton_row(platform: Platform, number: int) -> Iterator[str]:
    """Yield the automaton's row of a state: what changes it, what leaves it."""
    automaton = automaton_of(platform)
    meanings = emit.names(automaton)
    heading, *rows = emit.rows(automaton, 1)
    row = rows[number]
    yield f"Automaton of {platform.name}, state {number}: {meanings[number]}"
    stale = {"wb": "ld wb", "nc": "ld nc, ld dev, if nc", "if": "if wb"}
    kinds = [stale[word] for word in row[1].split() if word in stale]
    yield f"  may be stale   {', '.join(kinds) or 'nothing'}"
    pairs = list(zip(heading[2:], row[2:], strict=True))
    for event, after in pairs:
        if after != ".":
            yield f"  {event:<17} -> {after}: {meanings[int(after)]}"
    yield f"  no change      {', '.join(event for event, after in pairs if after == '.')}"
