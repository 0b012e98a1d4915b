"""The life of one VM: what each phase adds, option by option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.events import ONCE, START
from pocwatch.cost.start.series import Series
from pocwatch.cost.start.sizes import show
from pocwatch.report.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHADES = ("#08306b", "#2171b5", "#6baed6", "#c6dbef", "#fdae6b", "#fee6ce", "#bdbdbd")
_HATCHES = ("", "//", "", "..", "", "\\\\", "xx")


def timeline(bench: Bench, series: Series) -> Figure:
    """Draw what each phase of one VM's life adds, option by option, one after the other."""
    number = len(series.vms) // 2
    names = [n for n, line in series.options.items() if line[number].total.typical > 0]
    totals = sorted(series.options[n][number].total.typical for n in names)
    longest = min(totals[-1], 3 * totals[len(totals) // 2]) if totals else 1.0
    figure = style.new(13, 2.8 + 0.42 * len(names))
    axes = figure.add_subplot(1, 1, 1)
    for row, name in enumerate(names):
        outcome = series.options[name][number]
        left = 0.0
        for place, phase in enumerate(ONCE):
            width = outcome.time([phase]).typical
            shown = min(width, max(0.0, longest - left))
            if shown > 0:
                axes.barh(
                    row, shown, left=left, height=0.66, color=_SHADES[place], hatch=_HATCHES[place],
                    edgecolor="#404040", linewidth=0.4,
                )  # fmt: skip
            left += width
        begun = min(outcome.time(START).typical, longest)
        axes.plot(begun, row - 0.44, marker="v", color="black", markersize=6, clip_on=False)
        cut = left > longest * 1.0001
        text = f"{'→ ' * cut}{outcome.total}"
        axes.text(
            min(left, longest) + longest * 0.008, row, text, va="center", fontsize=9.5, color="#202020"
        )
    for place, phase in enumerate(ONCE):
        axes.barh(0, 0, color=_SHADES[place], hatch=_HATCHES[place], edgecolor="#404040",
                  linewidth=0.4, label=phase.value)  # fmt: skip
    axes.plot(
        [], [], "v", color="black", markersize=6, linestyle="none", label="first guest instruction"
    )
    style.names_at_left(axes, bench, series, names)
    axes.set_xlim(0, longest * 1.28)
    style.time_axis(axes.xaxis)
    axes.set_xlabel("added time (typical; at the end: typical, low to high)")
    style.legend_under(figure, axes, 8)
    vm = series.vms[number]
    title = f"What cache cleaning adds to the life of a VM with {show(vm.ram_bytes)}"
    style.head(figure, bench, series, title)
    style.foot(figure, style.NAMES_MARKED)
    style.room(figure, left=0.27, below=1.45)
    return figure
