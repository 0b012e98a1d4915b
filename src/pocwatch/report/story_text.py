"""A story as text: a column per agent, what the caches hold after each row, then why and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap

from pocwatch.kvm.policy import HOOKS
from pocwatch.kvm.story.rows import CACHES, ICACHE, Ending, Mark, Story
from pocwatch.kvm.verdict import ASSUMPTIONS, Word
from pocwatch.report.story_rows import LEGEND, Shown, contents, places, shown

WIDTH = 100
_MARGIN = 2
_GAP = 2
_LANE, _LEAST_LANE = 26, 10  # columns from one agent to the next, at most and at least
_TEXT = 46  # columns of a text, if there is room
_HEADINGS = {"memory": "mem", ICACHE: "I$"}
_SIGNS = {Mark.PLAIN: " ", Mark.LATEST: "*", Mark.SOURCE: "-", Mark.STALE: "X"}

Paint = Callable[[str, str], str]  # (text, role): "bad", "good", "faint" or "head"


def plain(text: str, role: str) -> str:
    """Return the text as it is: no colour."""
    return text


def text(story: Story, paint: Paint = plain) -> str:
    """Return the story; without colour if `paint` is left out."""
    lines = [*_head(story, paint), ""]
    if story.rows:
        lines += _table(story, paint)
        lines += ["", *_ending(story, paint)]
    else:
        lines += _without_rows(story)
    return "\n".join(line.rstrip() for line in lines) + "\n"


# --- Before and after the table -----------------------------------------------------------------


def _head(story: Story, paint: Paint) -> Iterator[str]:
    result = story.result
    role = "bad" if story.rows else "good" if result.verdict is Word.SAFE else "faint"
    verdict = paint(result.verdict.value, role)
    yield f"{result.scenario} × {result.policy} on {result.platform}: {verdict}"
    yield from _paragraph("  scenario  ", f"{story.description} (facts {story.facts})")
    yield from _paragraph("  policy    ", story.origin)


def _without_rows(story: Story) -> Iterator[str]:
    result = story.result
    if result.verdict is Word.NOT_APPLICABLE:
        yield f"The policy does not apply here: {result.reason}."
        return
    if result.verdict is Word.UNKNOWN:
        yield from _paragraph(
            "",
            f"Not known: the search {result.reason}, after {result.states:,} states, and had found "
            "nothing unsafe so far.",
        )
        return
    yield from _paragraph(
        "",
        f"No read is stale, in any interleaving and under any legal behaviour of the caches: all "
        f"{result.states:,} states that can be reached were visited ({result.seconds:.2f} s), and every "
        "agent gets through its script.",
    )
    yield "That is under these assumptions:"
    for assumption in ASSUMPTIONS:
        yield from _paragraph("  - ", assumption)


def _ending(story: Story, paint: Paint) -> Iterator[str]:
    ending = story.ending
    assert ending is not None
    last = story.rows[-1].number
    why = f" ({ending.why})" if ending.why else ""
    yield from _paragraph("X ", f"Row {last}: {ending.agent} {ending.event}{why}: {ending.verdict}.")
    yield from _paragraph("  looks at    ", ending.looks_at)
    yield from _paragraph("  gets        ", ending.gets)
    yield from _paragraph("  instead of  ", ending.instead_of)
    yield from _paragraph("  because     ", ending.how)
    if story.reasons:
        yield ""
        yield paint("Why what was done is not enough", "head")
        for reason in story.reasons:
            yield from _paragraph("  ", reason)
    yield ""
    yield paint("Rules", "head")
    for rule in story.rules:
        yield from _paragraph("  - ", rule)
    yield ""
    yield paint("Repair", "head")
    yield from _repair(story, ending)
    yield ""
    yield "The same line as a word:"
    word = "; ".join(str(step) for step in story.word)
    yield f"  pocwatch line --platform {story.result.platform} '{word}'"


def _repair(story: Story, ending: Ending) -> Iterator[str]:
    remedy = story.remedy
    if remedy is None:
        said = "None of the additions tried, at the end of one hook or of two, makes it safe."
        yield from _paragraph("  ", said)
    else:
        operations = "; ".join(remedy.operations)
        for hook in remedy.hooks:
            yield from _paragraph(f"  {hook}: ", f"{operations}    ({HOOKS[hook]})")
        yield from _paragraph(
            "  ",
            f"With that {story.result.scenario} is safe: proved over {remedy.states:,} states. Other "
            "scenarios may need more: pocwatch check.",
        )
    if story.line_repair:
        yield from _paragraph("  ", f"This read alone: {'; '.join(story.line_repair)} right before it.")


def _paragraph(head: str, said: str) -> list[str]:
    return wrap(
        said,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    )


# --- The table ----------------------------------------------------------------------------------


def _table(story: Story, paint: Paint) -> Iterator[str]:
    groups = shown(story)
    names = places(story)
    number = max(len(group.number) for group in groups)
    cells = [contents(story, group.picture) for group in groups]
    cache = max(6, *(len(cell) + 3 for row in cells for cell in row))
    lanes = _Lanes(story, WIDTH - _MARGIN - number - _GAP - cache * len(names))
    headings = [_HEADINGS.get(name, name)[: cache - 1] for name in names]
    indent = " " * (_MARGIN + number + _GAP)
    yield paint(indent + lanes.heading + "".join(name.ljust(cache) for name in headings), "head")
    yield paint("-" * WIDTH, "faint")
    for group, held in zip(groups, cells, strict=True):
        yield from _remedy_here(story, group, indent, paint)
        yield from _row(story, group, held, number, lanes, cache, paint)
    yield paint("-" * WIDTH, "faint")
    signs = "* writes what should be read; X is the stale read"
    if any(group.mark is Mark.SOURCE for group in groups):
        signs = "* writes what should be read, - what is read instead; X is the stale read"
    if CACHES in story.agents:
        signs += "; ~ is what the caches do"
    yield from _paragraph("  ", f"left: {signs}")
    yield from _paragraph("  ", f"right: {LEGEND}; [ ] is what the read gets")


class _Lanes:
    """Where each agent's texts start. A row has one agent, so a text may go on to the right."""

    def __init__(self, story: Story, width: int) -> None:
        self.names = [name for name in story.agents if name != CACHES]
        self.width = width
        others = max(1, len(self.names) - 1)
        self.offset = min(_LANE, max(_LEAST_LANE, (width - _TEXT) // others))
        cells = [name.ljust(self.offset) for name in self.names]
        self.heading = "".join(cells)[:width].ljust(width)

    def lines(self, agent: str, text: str) -> list[str]:
        """Return a text in its agent's lane; what the caches do on their own is in none."""
        if agent == CACHES:
            start, text = 0, f"~ {text}"
        else:
            start = self.names.index(agent) * self.offset
        room = min(_TEXT, self.width - start - _GAP)
        lines = wrap(text, room, break_on_hyphens=False) or [""]
        return [(" " * start + line).ljust(self.width) for line in lines]


def _row(
    story: Story,
    group: Shown,
    held: Sequence[str],
    number: int,
    lanes: _Lanes,
    cache: int,
    paint: Paint,
) -> Iterator[str]:
    bad = group.mark is Mark.STALE
    if bad and story.ending is not None and story.ending.place:
        marked = places(story).index(story.ending.place)
        held = [f"[{cell}]" if n == marked else cell for n, cell in enumerate(held)]
    caches = "".join(cell.ljust(cache) for cell in held)
    for n, line in enumerate(lanes.lines(group.agent, group.text)):
        sign = _SIGNS[group.mark] if n == 0 else " "
        label = group.number if n == 0 else ""
        head = f"{sign.ljust(_MARGIN)}{label.rjust(number)}{' ' * _GAP}"
        row = f"{head}{line}{caches if n == 0 else ''}".rstrip()
        yield paint(row, "bad") if bad else row


def _remedy_here(story: Story, group: Shown, indent: str, paint: Paint) -> Iterator[str]:
    for hook, number in story.remedy.rows if story.remedy else ():
        if number == group.first:
            assert story.remedy is not None
            operations = "; ".join(story.remedy.operations)
            yield paint(f"{indent[:-3]}>> {hook}: {operations} would go here", "good")
