"""A story as a drawing: a lane per agent, time downwards, what the caches hold at the right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from html import escape
from textwrap import wrap

from pocwatch.kvm.story.rows import CACHES, Mark, Story
from pocwatch.report.story_rows import LEGEND, Shown, contents, places, shown

_TEXT = 30  # characters
_FILL = {
    Mark.PLAIN: "#f3f3f3",
    Mark.LATEST: "#cfeccf",
    Mark.SOURCE: "#ffe9b3",
    Mark.STALE: "#f4b6b6",
}
_LATEST, _STALE, _NONE = "#cfeccf", "#f4b6b6", "#ffffff"


def dot(story: Story) -> str:
    """Return the story as a Graphviz graph; without rows only what is said of the cell."""
    title = f"{story.result.scenario} × {story.result.policy} on {story.result.platform}: "
    title += story.result.verdict.value
    lines = [
        f'digraph "{_quoted(title)}" {{',
        '  graph [rankdir=TB, nodesep=0.35, ranksep=0.22, splines=line, fontname="sans-serif"];',
        '  node [fontname="sans-serif", fontsize=11, margin="0.12,0.06"];',
        '  edge [arrowsize=0.7];',
        f'  labelloc=t; label="{_quoted(title)}\\n{_quoted(story.description)}"; fontsize=14;',
    ]
    if story.rows:
        groups = shown(story)
        lines += _lanes(story, groups)
        lines += _caches(story, groups)
        lines += _order(story, groups)
        lines += _footer(story, len(groups))
    return "\n".join([*lines, "}"]) + "\n"


def _lanes(story: Story, groups: Sequence[Shown]) -> Iterator[str]:
    """Yield a chain of nodes for each agent: its head, then a box or a point for each row."""
    for lane, name in enumerate(story.agents):
        head = f'label="{_quoted(name)}", shape=box, style="filled,bold", fillcolor="#dde6f3"'
        yield f'  a{lane}_0 [{head}, group=a{lane}];'
        for row, group in enumerate(groups, 1):
            if group.agent == name:
                yield f"  a{lane}_{row} [{_box(group)}, group=a{lane}];"
            else:
                yield f"  a{lane}_{row} [shape=point, width=0.02, color=grey70, group=a{lane}];"
            chain = "style=dashed, arrowhead=none, color=grey70, weight=50"
            yield f"  a{lane}_{row - 1} -> a{lane}_{row} [{chain}];"


def _box(group: Shown) -> str:
    text = "".join(f"{_quoted(line)}\\l" for line in wrap(group.text, _TEXT, break_on_hyphens=False))
    bad = group.mark is Mark.STALE
    style = "filled,rounded" if group.agent == CACHES else "filled"
    red = ', color="#c00000", penwidth=2.5' if bad else ""
    label = f"{group.number}  {text}"
    return f'label="{label}", shape=box, style="{style}", fillcolor="{_FILL[group.mark]}"{red}'


def _caches(story: Story, groups: Sequence[Shown]) -> Iterator[str]:
    """Yield a record of the caches for each row, and what keeps rows and columns straight."""
    names = places(story)
    last = len(story.agents) - 1
    for row in range(len(groups) + 1):
        if row == 0:
            cells = "".join(f'<td width="52"><b>{escape(name)}</b></td>' for name in names)
        else:
            group = groups[row - 1]
            read = story.ending.place if group.mark is Mark.STALE and story.ending else ""
            held = zip(names, contents(story, group.picture), strict=True)
            cells = "".join(_cell(cell, name == read) for name, cell in held)
        table = f'<table border="0" cellborder="1" cellspacing="0"><tr>{cells}</tr></table>'
        yield f"  c_{row} [shape=plain, label=<{table}>, group=c];"
        if row:
            yield f"  c_{row - 1} -> c_{row} [style=invis, weight=50];"
        lanes = " ".join(f"a{lane}_{row};" for lane in range(last + 1))
        yield f"  {{ rank=same; {lanes} c_{row}; }}"
        for lane in range(last):
            yield f"  a{lane}_{row} -> a{lane + 1}_{row} [style=invis];"
        yield f"  a{last}_{row} -> c_{row} [style=invis];"


def _cell(held: str, read: bool) -> str:
    colour = _LATEST if "*" in held else _STALE if "-" in held else _NONE
    text = f"<b>{escape(held)}</b>" if read else escape(held)
    border = ' border="3" color="#c00000"' if read else ""
    return f'<td width="52" bgcolor="{colour}"{border}>{text}</td>'


def _order(story: Story, groups: Sequence[Shown]) -> Iterator[str]:
    """Yield an arrow wherever one agent follows another."""
    lanes = [story.agents.index(group.agent) for group in groups]
    for row, (one, other) in enumerate(itertools.pairwise(lanes), 1):
        if one != other:
            yield f"  a{one}_{row} -> a{other}_{row + 1} [constraint=false, color=grey40];"


def _footer(story: Story, rows: int) -> Iterator[str]:
    ending = story.ending
    assert ending is not None
    said = [
        f"{ending.agent} gets {ending.gets},",
        f"instead of {ending.instead_of}; {ending.how}.",
    ]
    if story.remedy is not None:
        operations = "; ".join(story.remedy.operations)
        said.append(f"Repair, proved for this scenario: {' and '.join(story.remedy.hooks)}: {operations}")
    said.append(LEGEND)
    text = "".join(f"{_quoted(line)}\\l" for part in said for line in wrap(part, 100))
    yield f'  end [label="{text}", shape=plaintext];'
    yield f"  a{len(story.agents) // 2}_{rows} -> end [style=invis];"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
