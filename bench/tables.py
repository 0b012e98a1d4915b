"""The measurements as Markdown, and the goals that they miss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import boots
import cachesim
from boots import Boot, Sample, cpu, wall
from cachesim import Rate
from commands import Timing

from pocwatch.demo.machine import HOST_MEMORY_MIB

_START = "<!-- measured: begin (bench/run.py --update-docs) -->"
_END = "<!-- measured: end -->"
_MIB = 2**20


def _middle(figures: Sequence[float], unit: str = "") -> str:
    low, high = min(figures), max(figures)
    return f"{median(figures):.2f}{unit} ({low:.2f}–{high:.2f})"


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    right = ["---"] + ["--:"] * (len(columns) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, right, *rows))


def _row(boot: Boot, name: str, samples: Sequence[Sample]) -> list[str]:
    ours = boot.samples[boots.OURS]
    instructions = median(s.instructions for s in ours)
    return [
        name,
        _middle([wall(s) for s in samples]),
        _middle([s.user_s for s in samples]),
        _middle([s.system_s for s in samples]),
        _middle(boot.ratios(name, wall), "×"),
        _middle(boot.ratios(name, cpu), "×"),
        f"{instructions / median(wall(s) for s in samples) / 1e6:.0f}",
        f"{median(s.rss_bytes for s in samples) / _MIB:.0f}",
    ]


def _boot(boot: Boot) -> str:
    ours = boot.samples[boots.OURS]
    columns = ["", "wall s", "user s", "system s", "wall ratio", "CPU ratio", "MIPS", "peak MiB"]
    rows = [_row(boot, name, samples) for name, samples in boot.samples.items()]
    touched = median(s.ram_touched_bytes for s in ours) / _MIB
    return "\n\n".join(
        (
            f"**{boot.scenario}, {boot.cpus} CPU** — "
            f"{median(s.instructions for s in ours) / 1e6:.0f} M instructions, "
            f"{median(s.accesses for s in ours) / 1e6:.0f} M data accesses, "
            f"{touched:.0f} MiB of {HOST_MEMORY_MIB} MiB guest RAM touched, "
            f"{boot.more_per_gib_touched() / _MIB:.0f} MiB more per GiB touched than without plugin",
            _rows(columns, rows),
        )
    )


def markdown(
    booted: Sequence[Boot], timings: Sequence[Timing], rates: Sequence[Rate], runs: int
) -> str:
    """Return all tables."""
    parts = [f"Median (smallest–largest) of {runs} rounds; ratios are taken within a round."]
    parts += [_boot(boot) for boot in booted]
    if timings:
        rows = [[t.what, f"{t.seconds:.2f}", f"{t.goal_s:g}"] for t in timings]
        parts.append(_rows(["", "s", "goal s"], rows))
    if rates:
        columns = ["cache simulation", "accesses, M", "M accesses/s", "goal"]
        parts.append(_rows(columns, [cachesim.row(rate) for rate in rates]))
    return "\n\n".join(parts)


def missed(booted: Sequence[Boot], timings: Sequence[Timing], rates: Sequence[Rate]) -> list[str]:
    """Return a line for each goal that is missed."""
    lines = []
    for boot in booted:
        ratio = median(boot.ratios(boots.OURS, wall))
        if ratio > boots.GOAL:
            lines.append(f"{boot.scenario}: {ratio:.2f}× the time, at most {boots.GOAL:.1f}×")
    lines += [
        f"{rate.what}: {rate.per_second / 1e6:.1f} M accesses/s, at least {rate.goal / 1e6:g}"
        for rate in rates
        if rate.per_second < rate.goal
    ]
    return lines + [
        f"{t.what}: {t.seconds:.2f} s, at most {t.goal_s:g} s"
        for t in timings
        if t.seconds > t.goal_s
    ]


def put_into(document: Path, text: str) -> None:
    """Replace what is between the document's markers."""
    before, start, rest = document.read_text().partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        raise OSError(f"{document}: the lines '{_START}' and '{_END}' are not both there")
    document.write_text(f"{before}{_START}\n{text}\n{_END}{after}")
