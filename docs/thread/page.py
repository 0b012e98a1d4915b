"""The claims as Markdown: the parts of docs/the-thread.md, and a page for each counterexample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pocwatch.cli import authored
from pocwatch.kvm.verdict import ASSUMPTIONS, Word

from . import claims
from .claims import Cell, Claim, Part, Verdict

_MARKS = {True: "yes", False: "**no**", None: "–"}


def summary() -> str:
    """Return how many claims there are of each kind."""
    found = claims.load()
    decided = [claim for claim in found if claim.parts]
    apart = [claim for claim in decided if claim.agrees is False]
    cells = {cell.question for claim in decided for cell in claim.cells}
    safe = [cell for cell in cells if cell.result.verdict is Word.SAFE]
    refuted = claims.with_traces()
    text = (
        f"Of {len(found)} claims the tool decides {len(decided)}, by {len(cells)} cells: {len(safe)} "
        f"proofs, {len(refuted)} counterexamples, and {len(cells) - len(safe) - len(refuted)} where "
        "the policy does not apply. "
    )
    if not apart:
        return text + "It agrees with history on all of them.\n"
    links = " and ".join(f"[{claim.id}](#{_anchor(claim)})" for claim in apart)
    return text + f"It disagrees with history on {len(apart)}: {links}.\n"


def table() -> str:
    """Return all claims with both verdicts."""
    head = ["claim", "who", "says", "history", "tool", "agree", "a command", "a trace"]
    rows = [head, ["---"] * len(head), *map(_row, claims.load())]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _row(claim: Claim) -> list[str]:
    command, trace = "–", "–"
    if claim.parts:
        command = f"`{claim.telling.command}`"
        cells = [claim.telling, *claim.cells]
        trace = next((_linked(cell, "trace") for cell in cells if cell.result.trace), trace)
    return [
        f"[{claim.id}](#{_anchor(claim)})",
        claim.who,
        claim.claim,
        claim.history.value,
        claim.tool.value,
        _MARKS[claim.agrees],
        command,
        trace,
    ]


def decided() -> str:
    """Return a section for each claim that the tool decides."""
    return "\n".join(_section(claim) for claim in claims.load() if claim.parts)


def undecided() -> str:
    """Return a section for each claim that the tool does not decide."""
    return "\n".join(
        f"### {_heading(claim)}\n\n{claim.who}: {claim.claim}\n\n"
        f"- **Tool**: undecided. {claim.undecided}\n{_history(claim)}"
        for claim in claims.load()
        if not claim.parts
    )


def assumptions() -> str:
    """Return what a proof takes for granted."""
    return "".join(f"- {each}\n" for each in ASSUMPTIONS)


def _heading(claim: Claim) -> str:
    return f"{claim.id}: {claim.title}"


def _anchor(claim: Claim) -> str:
    return re.sub(r"[^\w\- ]", "", _heading(claim).lower()).replace(" ", "-")


def _history(claim: Claim) -> str:
    return f"- **History**: {claim.history.value}. {claim.history_why}\n"


def _section(claim: Claim) -> str:
    lines = [
        f"### {_heading(claim)}\n\n{claim.who}: {claim.claim}\n\n",
        f"- **Tool**: {claim.tool.value}. {claim.reason}\n",
        _history(claim),
    ]
    lines += [_part(part) for part in claim.parts]
    if claim.shown:
        lines += ["\nNot claimed, and worth knowing:\n\n", *map(_cell, claim.shown)]
    if claim.disagreement:
        lines.append(f"\n**Why they disagree.** {claim.disagreement.strip()}\n")
    return "".join(lines)


def _part(part: Part) -> str:
    verdict = Verdict.RIGHT if part.holds else Verdict.WRONG
    accesses = (
        f"- {access.purpose}, HCR_EL2.DC={access.dc:d}, SCTLR_EL1 M=0 I={access.icache_on:d}: "
        f"**{access.attributes}**; the claim needs {access.needs}\n"
        for access in part.accesses
    )
    return f"\n*{part.says}* **{verdict.value.capitalize()}**:\n\n" + "".join(
        [*accesses, *map(_cell, part.cells)]
    )


def _cell(cell: Cell) -> str:
    needs = "" if cell.needs is None or cell.holds else f"; the claim needs {cell.needs}"
    return f"- `{cell.command}`\n  {_verdict(cell)}{needs}\n"


def _verdict(cell: Cell) -> str:
    result = cell.result
    word = f"**{result.verdict.value}**"
    if result.verdict is Word.SAFE:
        return f"{word}, proved over {result.states:,} states"
    if result.trace:
        last = result.trace[-1]
        link = _linked(cell, f"counterexample of {len(result.trace)} steps")
        return f"{word}, {link}: {last.agent} {last.event}, {last.read}"
    return f"{word}: {result.reason}"


def _linked(cell: Cell, text: str) -> str:
    return f"[{text}](traces/{cell.trace_name}.md)"


# --- Counterexamples ---------------------------------------------------------------------------------


def traces() -> dict[str, str]:
    """Return the page of each counterexample, by file name."""
    return {f"{name}.md": _trace(cell) for name, cell in claims.with_traces().items()}


def _trace(cell: Cell) -> str:
    result = cell.result
    word = "; ".join(map(str, result.word))
    kind = f" ({cell.icache.upper()} I-cache)" if cell.icache else ""
    scenario = authored.scenario(cell.scenario)
    users = (c for c in claims.load() if cell in {mine.question for mine in c.cells})
    return "".join(
        [
            f"# {result.scenario}, {result.policy}, {result.platform}{kind}\n\n",
            "<!-- written by docs/generate.py -->\n\n",
            f"{scenario.description}\n\n",
            f"A shortest counterexample, **{result.verdict.value}** after {len(result.trace)} steps. "
            f"It belongs to {_claims(users)}.\n\n",
            f"- `{cell.command}`\n",
            f"- `pocwatch line --platform {result.platform} '{word}'`\n\n",
            "The second command replays what the line of the last read has seen, which is the column "
            "`line`.\n\n",
            "| step | agent | event | why | line |\n| --- | --- | --- | --- | --- |\n",
            *_steps(cell),
        ]
    )


def _claims(users: Iterable[Claim]) -> str:
    return ", ".join(f"[{claim.id}](../the-thread.md#{_anchor(claim)})" for claim in users)


def _steps(cell: Cell) -> Iterator[str]:
    trace = cell.result.trace
    page = trace[-1].steps[-1][0]
    for number, action in enumerate(trace, 1):
        seen = "; ".join(str(step) for at, step in action.steps if at == page)
        event = f"{action.event}: {action.read}" if action.read else action.event
        if number == len(trace):
            event = f"**{event}**"
        line = f"`{seen}`" if seen else ""
        row = (str(number), action.agent, event, action.why, line)
        yield "| " + " | ".join(row) + " |\n"
