"""Added latency of faults: median, 99th percentile, worst and its bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.series import Series
from pocwatch.cost.start.sizes import show
from pocwatch.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE = "#08306b"


def faults(bench: Bench, series: Series) -> Figure:
    """Draw the added latency of faults: median, 99th percentile, worst and its bounds."""
    number = len(series.vms) // 2
    names = [n for n, line in series.options.items() if line[number].latency is not None]
    figure = style.new(13, 2.8 + 0.42 * len(names))
    axes = figure.add_subplot(1, 1, 1)
    found = {n: latency for n in names if (latency := series.options[n][number].latency) is not None}
    values = [
        value
        for each in found.values()
        for value in (each.p50.typical, each.worst.low, each.p99.typical)
        if value > 0
    ]
    least = 10 ** math.floor(math.log10(min(values, default=1)) - 0.5)
    for row, (name, latency) in enumerate(found.items()):
        colour = style.GREY if bench.mark(series, name) == "X" else _BLUE
        if latency.worst.typical <= 0:
            axes.text(least * 1.15, row, "0", va="center", color=colour)
            continue
        axes.plot([max(latency.worst.low, least), latency.worst.high], [row, row],
                  color=colour, linewidth=6, alpha=0.18, solid_capstyle="butt")  # fmt: skip
        p50, p99, worst = (each.typical for each in (latency.p50, latency.p99, latency.worst))
        for value, marker, size in ((p50, "o", 7), (p99, "|", 13), (worst, "D", 6)):
            if value <= 0:
                continue
            axes.plot(max(value, least), row, marker, color=colour, markersize=size, markeredgewidth=2,
                      fillstyle="none" if marker == "D" else "full")  # fmt: skip
        axes.text(latency.worst.high * 1.12, row, str(latency.worst), va="center", fontsize=9.5)
    for marker, label in (("o", "median"), ("|", "99th percentile"), ("D", "worst")):
        axes.plot([], [], marker, color=_BLUE, linestyle="none", markeredgewidth=2, label=label,
                  fillstyle="none" if marker == "D" else "full")  # fmt: skip
    axes.plot([], [], color=_BLUE, linewidth=6, alpha=0.18, label="worst, low to high costs")
    axes.set_xscale("log")
    highest = max((each.worst.high for each in found.values()), default=10.0) or 10.0
    axes.set_xlim(least, highest * 12)
    style.time_axis(axes.xaxis)
    style.names_at_left(axes, bench, series, names)
    axes.set_xlabel("added latency of a fault")
    style.legend_under(figure, axes, 4)
    page = show(series.page_bytes)
    style.head(
        figure, bench, series,
        f"Added latency of a stage 2 fault: {series.vcpus} vCPU{'s' * (series.vcpus != 1)} on one {page} "
        "page",
    )  # fmt: skip
    style.foot(figure, style.NAMES_MARKED)
    style.room(figure, left=0.27, below=1.45)
    return figure
