"""An event of a trace in one line, and as the page that says all of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from pocwatch.tui import look
from pocwatch.tui.trace_store import Event

_LINE_MASK = 63


def world(event: Event) -> str:
    """Return the exception level, and whose it is; "" for a device."""
    if event.agent.startswith("D"):
        return ""
    guest = f" vm{event.vm_id}" if event.vm and event.vm_id else " vm" if event.vm else ""
    return f"EL{event.el}{guest}"


def operation(event: Event) -> str:
    """Return an operation as `pocwatch line` spells it."""
    if event.op in ("st", "ld", "if", "tw"):
        return f"{event.op} {event.kind}"
    if event.op in ("rd", "wr"):
        return f"{event.op} {'coherent' if event.kind == 'wb' else 'noncoherent'}"
    return str(event.op)


def place(event: Event) -> str:
    """Return the function of an event, or its PC."""
    if event.symbol:
        return str(event.symbol)
    return f"{event.pc:#x}" if event.pc is not None else ""


def row(event: Event, number: int, most: int, *, line: bool, tree: str = "") -> Text:
    """Return an event as a row; with the address of its line, or the offset in it.

    `most` is the largest number that the list may show.
    """
    text = Text(f"{number:>{max(4, len(f'{most:,}'))},} ", end="")
    where = ""
    if event.line is not None:
        where = f"{event.line:#x}" if line else f"+{event.pa & _LINE_MASK:02x}"
    text.append(f"{where:<{12 if line else 4}} ")
    missing = event.dropped or event.weakened
    text.append("! " if missing else "  ", look.BAD)
    text.append(tree, look.FAINT)
    style = look.HEADING if event.op in ("st", "dc zva", "wr") else look.PLAIN
    text.append(f"{event.agent:<3} {world(event):<7} ")
    text.append(f"{operation(event):<11} ", look.CHANGED if missing else style)
    text.append(place(event), look.CODE)
    return text


def said(event: Event) -> Iterator[str]:
    """Yield all that the trace says of an event."""
    at = f" at {world(event)}" if world(event) else ""
    code = place(event)
    code += f" ({event.pc:#x})" if event.symbol and event.pc is not None else ""
    yield f"{operation(event)} by {event.agent}{at}{f' in {code}' if code else ''}"
    if event.dropped:
        yield "  dropped by a rule while it was recorded: the machine forgot it"
    if event.weakened:
        yield "  weakened by a rule while it was recorded; this is what it became"
    if event.upgraded:
        yield "  asked for an invalidate, executed as clean and invalidate"
    if event.pa is not None:
        ipa = "" if event.ipa is None else f" -> IPA {event.ipa:#x}"
        va = "" if event.va is None else f"VA {event.va:#x}{ipa} -> "
        yield f"  {va}PA {event.pa:#x}, {event.size} bytes"
    insn = "" if event.insn is None else f", instruction {event.insn:#010x}"
    mmu = f"MMU {'on' if event.mmu else 'off'}"
    yield f"  seq {event.seq:,}, {mmu}{insn}{f', because of {event.why}' if event.why else ''}"
    if event.stack:
        yield f"  called by {' < '.join(reversed(event.stack.split(';')))}"


def text_of(event: Event) -> str:
    """Return all that a search in a list of events looks at."""
    return " ".join(said(event)).casefold()
