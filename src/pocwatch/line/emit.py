"""The automaton for people and programs: text, Markdown, JSON and dot, all from the one value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pocwatch.arch.ops import DATA_MAINTENANCE
from pocwatch.line.automaton import Automaton, Event, Stale
from pocwatch.line.explain import state_text
from pocwatch.line.pending import supersedes, without_effect
from pocwatch.line.table import lost_states

EVENT_TEXT: dict[Event, str] = {
    Event.ST_WB: "st wb",
    Event.ST_WB_NEIGHBOUR: "st wb, other cell",
    Event.ST_NC: "st nc",
    Event.ST_WT: "st wt",
    Event.WR_COHERENT: "wr coherent",
    Event.LD_CACHED: "ld wb",
    Event.CVAC: "dc cvac",
    Event.CVAU: "dc cvau",
    Event.CIVAC: "dc civac",
    Event.IVAC: "dc ivac",
    Event.CSW: "dc csw",
    Event.CISW: "dc cisw",
    Event.ISW: "dc isw",
    Event.OUTER_CLEAN: "outer clean",
    Event.OUTER_INV: "outer inv",
    Event.OUTER_FLUSH: "outer flush",
    Event.CLOSE: "last mmu off",
}
FILL_TEXT = ("all MMUs off", "some MMU on")


def events_that_matter(automaton: Automaton, fill: int) -> list[Event]:
    """Return the events that change some state, with or without caches filling on their own."""
    return [
        event
        for event in Event
        if any(after != state for state, after in enumerate(automaton.delta[fill][event]))
    ]


def names(automaton: Automaton) -> list[str]:
    """Return what each state means, in words: who may read what (see `explain.state_text`).

    States that read alike now and differ later are told apart by how they are first reached.
    """
    lost = lost_states(automaton)
    texts = [
        state_text(automaton.stale[1][state], lost=state in lost)
        for state in range(automaton.states)
    ]
    return [
        text
        if texts.count(text) == 1 or not word
        else f"{text}, after {_ending(word, _alike(automaton, texts, state))}"
        for state, (text, word) in enumerate(zip(texts, automaton.words, strict=True))
    ]


_Way = tuple[tuple[int, Event], ...]


def _alike(automaton: Automaton, texts: list[str], state: int) -> list[_Way]:
    """Return the ways to the other states of the same text."""
    return [
        automaton.words[other]
        for other, text in enumerate(texts)
        if other != state and text == texts[state]
    ]


def _ending(word: _Way, others: list[_Way]) -> str:
    """Return as many of a way's last events as tell it from the others."""
    length = next(
        (n for n in range(1, len(word)) if all(w[-n:] != word[-n:] for w in others)), len(word)
    )
    return "; ".join(
        EVENT_TEXT[event] + ("" if fill else f" with {FILL_TEXT[0]}")
        for fill, event in word[-length:]
    )


def flags(stale: Stale) -> str:
    """Return the reads that may be stale, as in the tables: `wb nc if`, `-` if none."""
    shown = [
        text
        for flag, text in ((Stale.WB, "wb"), (Stale.NC, "nc"), (Stale.POU, "if"))
        if flag in stale
    ]
    return " ".join(shown) or "-"


def rows(automaton: Automaton, fill: int) -> Iterator[list[str]]:
    """Yield a heading and one row per state: number, stale reads, next state per event."""
    events = events_that_matter(automaton, fill)
    yield ["state", "may be stale", *(EVENT_TEXT[event] for event in events)]
    for state in range(automaton.states):
        row = automaton.delta[fill]
        nexts = [row[event][state] for event in events]
        yield [
            str(state),
            flags(automaton.stale[fill][state]),
            *("." if after == state else str(after) for after in nexts),
        ]


def _summary(automaton: Automaton) -> str:
    platform = automaton.platform
    levels = ", ".join(level.name for level in platform.levels)
    return (
        f"{platform.name}: {levels}; {automaton.subset_states} subset states, "
        f"{automaton.states} after minimisation"
    )


def text(automaton: Automaton) -> str:
    """Return both tables as aligned text; `.` is the state itself."""
    lines = [_summary(automaton)]
    for fill in (1, 0):
        lines += ["", f"{FILL_TEXT[fill]}:"]
        table = [[row[0], row[1], *row[2:]] for row in rows(automaton, fill)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines += [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in table
        ]
    lines += ["", "states:"]
    lines += [f"  {state}  {name}" for state, name in enumerate(names(automaton))]
    lines += ["", "pending operations (issued, no DSB yet) are a layer over this table:"]
    lines += [f"  {sentence}" for sentence in pending_text(automaton)]
    return "\n".join(lines) + "\n"


def pending_text(automaton: Automaton) -> list[str]:
    """Return how pending operations combine with the table, in words."""
    platform = automaton.platform
    idle = [op.spelling for op in DATA_MAINTENANCE if without_effect(platform, op)]
    return [
        "the cell is in one state per choice of which of them have taken effect;",
        "a read may be stale if it may be in any; the issuer's DSB leaves those where all have",
        *([f"never pending, as they guarantee nothing here: {', '.join(idle)}"] if idle else []),
    ]


def markdown(automaton: Automaton) -> str:
    """Return both tables as Markdown."""
    lines = [f"### {automaton.platform.name}", "", _summary(automaton) + "."]
    for fill in (1, 0):
        heading, *body = rows(automaton, fill)
        lines += ["", f"**{FILL_TEXT[fill]}**", ""]
        lines.append("| " + " | ".join(heading) + " |")
        lines.append("|" + " --- |" * len(heading))
        lines += ["| " + " | ".join(row) + " |" for row in body]
    lines += ["", "| state | meaning |", "| --- | --- |"]
    lines += [f"| {state} | {name} |" for state, name in enumerate(names(automaton))]
    return "\n".join(lines) + "\n"


def json_value(automaton: Automaton) -> dict[str, Any]:
    """Return the automaton as a JSON value: `delta[mmu][event][state]`."""
    platform = automaton.platform
    lost = lost_states(automaton)
    return {
        "platform": platform.name,
        "levels": [level.name for level in platform.levels],
        "pou": platform.pou,
        "subset_states": automaton.subset_states,
        "states": [
            {
                "state": state,
                "meaning": name,
                "stale": {
                    key: flags(automaton.stale[fill][state]).replace("-", "").split()
                    for fill, key in enumerate(("mmu_off", "mmu_on"))
                },
                "lost": state in lost,
                "word": [
                    EVENT_TEXT[event] + ("" if fill else " (all MMUs off)")
                    for fill, event in automaton.words[state]
                ],
            }
            for state, name in enumerate(names(automaton))
        ],
        "events": [EVENT_TEXT[event] for event in Event],
        "delta": {
            key: {EVENT_TEXT[event]: list(automaton.delta[fill][event]) for event in Event}
            for fill, key in enumerate(("mmu_off", "mmu_on"))
        },
        "pending": {
            "without_effect": [
                op.spelling for op in DATA_MAINTENANCE if without_effect(platform, op)
            ],
            "supersedes": [
                [new.spelling, old.spelling]
                for new in DATA_MAINTENANCE
                for old in DATA_MAINTENANCE
                if supersedes(platform, new, old)
            ],
        },
    }


def dot(automaton: Automaton) -> str:
    """Return the automaton, some MMU on, as a dot graph; self-loops are left out."""
    lines = [
        f'digraph "{automaton.platform.name}" {{',
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9, color="#555555"];',
        f'  label="{_summary(automaton)}"; fontname="sans-serif";',
    ]
    lost = lost_states(automaton)
    for state, name in enumerate(names(automaton)):
        stale = automaton.stale[1][state]
        colour = "#f4b6b6" if state in lost else "#ffe9b3" if stale else "#cfeccf"
        reads = "" if not stale else f"\\nstale: {flags(stale)}"
        lines.append(f'  s{state} [label="{state}: {name}{reads}", fillcolor="{colour}"];')
    edges: dict[tuple[int, int], list[str]] = {}
    for event in events_that_matter(automaton, 1):
        for state, after in enumerate(automaton.delta[1][event]):
            if after != state:
                edges.setdefault((state, after), []).append(EVENT_TEXT[event])
    for (state, after), texts in edges.items():
        label = "\\n".join(texts)
        lines.append(f'  s{state} -> s{after} [label="{label}"];')
    return "\n".join([*lines, "}"]) + "\n"
