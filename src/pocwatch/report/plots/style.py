"""What all pictures of `pocwatch bench` share: marks, colours, axes of time, heads and feet.

Line styles and markers carry what colours do, so that a print in grey can be read. Safe options are
solid, unsafe ones dashed, and those under which a guest may not see its image dotted and grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.series import Series
from pocwatch.cost.start.sizes import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#8a8a8a"
SETTINGS = {
    "font.size": 11,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pocwatch",
    "hatch.linewidth": 0.5,
}
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))
NAMES_MARKED = "!: unsafe in some scenario    X, grey: the guest may not see its own image"


def new(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def names_at_left(axes: Axes, bench: Bench, series: Series, names: Sequence[str]) -> None:
    """Write options at the left, first at the top."""
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([f"{n} {bench.mark(series, n)}".rstrip() for n in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(GREY if bench.mark(series, name) == "X" else "black")
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.grid(True, axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def legend_under(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    height = figure.get_size_inches()[1]
    figure.legend(
        handles, labels, loc="lower center", ncol=columns, frameon=False, fontsize=10,
        bbox_to_anchor=(0.5, 0.36 / height), columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def room(figure: Figure, *, left: float, below: float) -> None:
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=left, right=0.98, top=1 - 0.85 / height, bottom=below / height)


def head(figure: Figure, bench: Bench, series: Series, title: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - 0.12 / height, title, fontsize=15, fontweight="bold", va="top")
    vm = series.vms[len(series.vms) // 2]
    said = (
        f"platform {bench.platform.name}, cost set {bench.model.name}, {show(series.page_bytes)} pages, "
        f"image {show(vm.image_bytes)}, {series.vcpus} vCPU{'s' * (series.vcpus != 1)}; added to a "
        "hypervisor that does no maintenance"
    )
    figure.text(0.012, 1 - 0.45 / height, said, fontsize=10, color="#404040", va="top")


def foot(figure: Figure, text: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.012, 0.1 / height, text, fontsize=9.5, color="#404040", va="bottom")


def time_axis(axis: Any) -> None:
    """Label ns as people read them: 10 us, 1 ms."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_locator(LogLocator(subs=()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))


def _time(ns: float) -> str:
    if ns <= 0:
        return "0"
    scale, name = next((unit for unit in _UNITS if ns >= unit[0] * 0.9999), _UNITS[-1])
    return f"{ns / scale:g} {name}"
