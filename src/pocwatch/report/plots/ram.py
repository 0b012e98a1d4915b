"""Cost against RAM: what options add, with bounds and crossovers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.series import QUANTITIES, Series, crossovers
from pocwatch.cost.start.sizes import show
from pocwatch.report.bench_words import BEFORE, crossed, typical
from pocwatch.report.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REFERENCES = (BEFORE, "mainline-2021", "fwb")  # beside the thread's options
_FEW = 6
_COLOURS = ("#b2182b", "#e08214", "#2166ac", "#542788", "#1b7837", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_STYLES = {" ": "-", "!": "--", "X": ":"}
_MARKS = "solid: safe    dashed: unsafe    dotted, grey: the guest may not see its own image"


def against_ram(bench: Bench, series: Series) -> Figure:
    """Draw what options add, over guest RAM, with bounds and crossovers."""
    figure = style.new(14, 7.8)
    names = _drawn(bench, series)
    titles = {"start": "Until the first guest instruction", "total": "Over the VM's life"}
    for column, (quantity, of) in enumerate(QUANTITIES.items()):
        axes = figure.add_subplot(1, 2, column + 1)
        ends, free = [], []
        for number, name in enumerate(names):
            times = [of(outcome) for outcome in series.options[name]]
            if not all(time.low > 0 for time in times):
                free.append(name)
                continue
            colour, marker, dashes = _look(bench, series, name, number)
            ram = [vm.ram_bytes for vm in series.vms]
            line = [time.typical for time in times]
            axes.fill_between(
                ram, [time.low for time in times], [time.high for time in times],
                color=colour, alpha=0.08, linewidth=0,
            )  # fmt: skip
            axes.plot(
                ram, line, dashes, color=colour, marker=marker, markersize=5,
                markevery=max(1, len(ram) // 5), linewidth=2,
            )  # fmt: skip
            ends.append((line[-1], f"{name.replace(' (', chr(10) + '(')}, {typical(times[-1])}", colour))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        _ram_axis(axes, series)
        style.time_axis(axes.yaxis)
        axes.set_ylabel("added time")
        axes.set_title(titles[quantity], loc="left", fontweight="bold")
        _cross(axes, series, quantity, [n for n in bench.of_thread(series) if n not in free], free)
        _label(axes, ends)
        axes.grid(True, which="major", color="#e6e6e6", linewidth=0.7)
    style.head(figure, bench, series, "What cache cleaning adds to a VM, against its RAM")
    style.foot(
        figure,
        f"{_MARKS}\nbands: low to high costs; rings: where options of 2013 cross, and within which range",
    )
    figure.subplots_adjust(left=0.075, right=0.865, top=0.85, bottom=0.29, wspace=0.70)
    return figure


def _drawn(bench: Bench, series: Series) -> list[str]:
    """Return all options if they are few, else the thread's and what they are compared with."""
    if len(series.options) <= _FEW:
        return list(series.options)
    thread = bench.of_thread(series)
    if not thread:
        return list(series.options)
    return [*thread, *(n for n in _REFERENCES if n in series.options)]


def _look(bench: Bench, series: Series, name: str, number: int) -> tuple[str, str, str]:
    mark = bench.mark(series, name)
    colour = style.GREY if mark == "X" else _COLOURS[number % len(_COLOURS)]
    return colour, _MARKERS[number % len(_MARKERS)], _STYLES[mark]


def _cross(
    axes: Axes, series: Series, quantity: str, names: Sequence[str], free: Sequence[str]
) -> None:
    """Mark crossovers with rings, and how far they may lie to either side; tell what is not drawn."""
    of = QUANTITIES[quantity]
    ram = [vm.ram_bytes for vm in series.vms]
    told = [textwrap.fill(f"adds nothing: {', '.join(free)}", 70)] if free else []
    for place, crossover in enumerate(crossovers(series, quantity, names), 1):
        line = [of(o).typical for o in series.options[crossover.cheaper]]
        height = _between(ram, line, crossover.typical_bytes)
        low, high = crossover.at_least or ram[0], crossover.at_most or ram[-1]
        axes.plot([low, high], [height, height], color="black", linewidth=1, zorder=4)
        axes.plot(
            crossover.typical_bytes, height, "o", color="white", markeredgecolor="black",
            markersize=12, zorder=5,
        )  # fmt: skip
        axes.annotate(
            str(place), (crossover.typical_bytes, height), ha="center", va="center_baseline",
            fontsize=9, zorder=6,
        )  # fmt: skip
        told.append(textwrap.fill(f"{place}  {crossed(crossover)}", 70, subsequent_indent=" " * 5))
    axes.text(
        0, -0.15, "\n".join(told), transform=axes.transAxes, fontsize=9, va="top", linespacing=1.4
    )


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return y at x on a line with straight pieces on log scales."""
    for (a, b), (c, d) in pairwise(zip(xs, ys, strict=True)):
        if a <= x <= c:
            part = math.log(x / a) / math.log(c / a)
            return float(b * (d / b) ** part)
    return ys[-1]


def _label(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write names at the lines' ends, moved apart."""
    low, high = (math.log10(value) for value in axes.get_ylim())
    place, room = -math.inf, 0.0
    for value, text, colour in sorted(ends):
        lines = 1 + text.count("\n")
        mine = (high - low) * 0.021 * (0.4 + lines)
        place = max(math.log10(value), place + room + mine)
        room = mine
        axes.annotate(
            text, (1, (place - low) / (high - low)), xycoords="axes fraction", xytext=(6, 0),
            textcoords="offset points", color=colour, va="center", fontsize=10, linespacing=1.0,
        )  # fmt: skip


def _ram_axis(axes: Axes, series: Series) -> None:
    ram = [vm.ram_bytes for vm in series.vms]
    axes.set_xticks(ram[:: max(1, len(ram) // 7)], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xticklabels([show(size) for size in ram[:: max(1, len(ram) // 7)]])
    axes.set_xlabel("guest RAM")
