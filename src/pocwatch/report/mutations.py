"""What a campaign of mutations gave: a table of call sites as text, and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from pocwatch.report import json as report_json
from pocwatch.report import text
from pocwatch.sanitizer.mutating.campaign import Campaign, Judged, Verdict

_WIDTH = 78
_INDENT = "      "


def render(campaign: Campaign) -> str:
    """Return the table: three lines or so for a call site, under its verdict."""
    this, *others = campaign.platforms
    lines = [
        f"pocwatch: {len(campaign.sites)} call sites of maintenance, each dropped alone",
        f"  this platform: {this}" + (f"; elsewhere: {', '.join(others)}" if others else ""),
        f"  {_counts(campaign)}",
    ]
    if campaign.failure is not None:
        lines += _wrapped(f"PARTIAL: {campaign.failure}", "  ")
    for verdict in Verdict:
        sites = [site for site in campaign.sites if site.verdict is verdict]
        if sites:
            lines += ["", _heading(verdict, this), "  operations      lines  operation"]
            lines += [line for site in sites for line in _site(site, campaign)]
    return "\n".join(lines) + "\n"


def _counts(campaign: Campaign) -> str:
    counts = Counter(site.verdict for site in campaign.sites)
    return ", ".join(f"{counts[v]} {v.value}" for v in Verdict if counts[v]) or "none was seen"


def _heading(verdict: Verdict, this: str) -> str:
    return {
        Verdict.NEEDED: f"Needed on {this}:",
        Verdict.ELSEWHERE: f"Redundant on {this}, needed elsewhere:",
        Verdict.REDUNDANT: "Redundant on each of these platforms, as far as this recording tells:",
        Verdict.UNDECIDED: "Not decided: nothing yet that it prevents, and not all was judged:",
    }[verdict]


def _site(one: Judged, campaign: Campaign) -> Iterator[str]:
    lines = f"{one.lines:,}" if one.lines else "-"
    yield f"{one.operations:>12,} {lines:>10}  {one.site.op}"
    who = "guest" if one.site.vm else "host"
    yield from _wrapped(f"{who}: {' < '.join(one.site.frames)}")
    if one.first is not None:
        yield from _wrapped(f"without it: {_first(one)}")
        needed = [name for name in campaign.platforms if one.times[name]]
        if len(campaign.platforms) > 1 and len(needed) < len(campaign.platforms):
            yield from _wrapped(f"needed on {', '.join(needed)} only")


def _first(one: Judged) -> str:
    assert one.first is not None
    said, _, _ = text.verdict(one.first).rpartition(", ")
    writer = one.first.writer
    if writer is not None:
        said += f", written in {writer.symbol or f'{writer.pc:#x}'}"
    times = next(n for n in one.times.values() if n)
    return f"{said}; {times:,} reads in all" if times > 1 else said


def _wrapped(said: str, indent: str = _INDENT) -> list[str]:
    return wrap(
        said,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def data(campaign: Campaign) -> dict[str, Any]:
    """Return what `--json` writes."""
    return {
        "complete": campaign.complete,
        "failure": campaign.failure,
        "trace": str(campaign.trace),
        "platforms": list(campaign.platforms),
        "sites": [
            {
                "op": one.site.op,
                "vm": one.site.vm,
                "frames": list(one.site.frames),
                "verdict": one.verdict.value,
                "operations": one.operations,
                "lines": one.lines,
                "reads": dict(one.times),
                "first": None if one.first is None else report_json.finding(one.first),
            }
            for one in campaign.sites
        ],
    }


def render_json(campaign: Campaign) -> str:
    """Return the JSON text."""
    return json.dumps(data(campaign), indent=1) + "\n"
