"""What `pocwatch bench` found, as pictures: cost against RAM, timeline of a boot, latency of faults.

Line styles and markers carry what colours do, so that a print in grey can be read. Safe options are
solid, unsafe ones dashed, and those under which a guest may not see its image dotted and grey.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.events import ONCE, START
from pocwatch.cost.start.series import QUANTITIES, Series, crossovers
from pocwatch.cost.start.sizes import show
from pocwatch.report.bench_words import BEFORE, crossed, typical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REFERENCES = (BEFORE, "mainline-2021", "fwb")  # beside the thread's options, in cost against RAM
_FEW = 6
_COLOURS = ("#b2182b", "#e08214", "#2166ac", "#542788", "#1b7837", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#8a8a8a"
_STYLES = {" ": "-", "!": "--", "X": ":"}
_SHADES = ("#08306b", "#2171b5", "#6baed6", "#c6dbef", "#fdae6b", "#fee6ce", "#bdbdbd")
_HATCHES = ("", "//", "", "..", "", "\\\\", "xx")
_SETTINGS = {
    "font.size": 11,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pocwatch",
    "hatch.linewidth": 0.5,
}
_MARKS = "solid: safe    dashed: unsafe    dotted, grey: the guest may not see its own image"
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


class NoPlotError(Exception):
    """Drawing is asked for and cannot be; the message is for the user."""

    exit_code = 2


def require() -> None:
    """Raise NoPlotError unless there is a matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NoPlotError(
            "--plot: the package matplotlib is not installed: pip install 'pocwatch[plot]'"
        ) from None


Drawing = Callable[[Bench, Series], "Figure"]


def drawings(series: Series) -> dict[str, Drawing]:
    """Return what can be drawn of a series: by name, the most telling first."""
    found: dict[str, Drawing] = {"timeline": timeline, "faults": faults}
    return {"ram": against_ram, **found} if len(series.vms) > 1 else found


def write(bench: Bench, path: Path) -> list[Path]:
    """Write every picture: the first to `path`, others beside it; return where they are."""
    written = []
    several = len(bench.series) > 1
    for number, series in enumerate(bench.series):
        series_suffix = f"-{show(series.page_bytes)}-{series.vcpus}" * (several and number > 0)
        for place, (name, draw) in enumerate(drawings(series).items()):
            suffix = series_suffix + f"-{name}" * (place > 0)
            file = path.with_name(f"{path.stem}{suffix}{path.suffix}")
            file.write_bytes(picture(draw, bench, series, path.suffix[1:]))
            written.append(file)
    return written


def picture(draw: Drawing, bench: Bench, series: Series, form: str) -> bytes:
    """Return a drawing as svg or png; the same for the same input."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        buffer = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        draw(bench, series).savefig(buffer, format=form, dpi=150, metadata=metadata)
        return buffer.getvalue()


# --- Cost against RAM ----------------------------------------------------------------------------


def against_ram(bench: Bench, series: Series) -> Figure:
    """Draw what options add, over guest RAM, with bounds and crossovers."""
    figure = _figure(14, 7.8)
    names = _drawn(bench, series)
    titles = {"start": "Until the first guest instruction", "total": "Over the VM's life"}
    for column, (quantity, of) in enumerate(QUANTITIES.items()):
        axes = figure.add_subplot(1, 2, column + 1)
        ends = []
        for number, name in enumerate(names):
            times = [of(outcome) for outcome in series.options[name]]
            if not all(time.low > 0 for time in times):
                continue
            colour, marker, style = _look(bench, series, name, number)
            ram = [vm.ram_bytes for vm in series.vms]
            line = [time.typical for time in times]
            axes.fill_between(
                ram, [time.low for time in times], [time.high for time in times],
                color=colour, alpha=0.08, linewidth=0,
            )  # fmt: skip
            axes.plot(
                ram, line, style, color=colour, marker=marker, markersize=5,
                markevery=max(1, len(ram) // 5), linewidth=2,
            )  # fmt: skip
            ends.append((line[-1], f"{name.replace(' (', chr(10) + '(')}, {typical(times[-1])}", colour))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        _ram_axis(axes, series)
        _time_axis(axes.yaxis)
        axes.set_ylabel("added time")
        axes.set_title(titles[quantity], loc="left", fontweight="bold")
        _cross(axes, series, quantity, bench.of_thread(series))
        _label(axes, ends)
        axes.grid(True, which="major", color="#e6e6e6", linewidth=0.7)
    _head(figure, bench, series, "What cache cleaning adds to a VM, against its RAM")
    _foot(
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
    colour = _GREY if mark == "X" else _COLOURS[number % len(_COLOURS)]
    return colour, _MARKERS[number % len(_MARKERS)], _STYLES[mark]


def _cross(axes: Axes, series: Series, quantity: str, names: Sequence[str]) -> None:
    """Mark crossovers with rings, and how far they may lie to either side."""
    of = QUANTITIES[quantity]
    ram = [vm.ram_bytes for vm in series.vms]
    told = []
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


# --- Timeline ------------------------------------------------------------------------------------


def timeline(bench: Bench, series: Series) -> Figure:
    """Draw what each phase of one VM's life adds, option by option, one after the other."""
    number = len(series.vms) // 2
    names = [n for n, line in series.options.items() if line[number].total.typical > 0]
    totals = sorted(series.options[n][number].total.typical for n in names)
    longest = min(totals[-1], 3 * totals[len(totals) // 2]) if totals else 1.0
    figure = _figure(13, 2.2 + 0.42 * len(names))
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
    _names(axes, bench, series, names)
    axes.set_xlim(0, longest * 1.28)
    _time_axis(axes.xaxis)
    axes.set_xlabel("added time (typical; at the end: typical, low to high)")
    _under(figure, axes, 8)
    vm = series.vms[number]
    title = f"What cache cleaning adds to the life of a VM with {show(vm.ram_bytes)}"
    _head(figure, bench, series, title)
    _foot(figure, _NAMES_MARKED)
    _room(figure, left=0.27, below=1.45)
    return figure


# --- Faults --------------------------------------------------------------------------------------


def faults(bench: Bench, series: Series) -> Figure:
    """Draw the added latency of faults: median, 99th percentile, worst and its bounds."""
    number = len(series.vms) // 2
    names = [n for n, line in series.options.items() if line[number].latency is not None]
    figure = _figure(13, 2.2 + 0.42 * len(names))
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
        colour = _GREY if bench.mark(series, name) == "X" else "#08306b"
        if latency.worst.typical <= 0:
            axes.text(least * 1.15, row, "0", va="center", color=colour)
            continue
        axes.plot([max(latency.worst.low, least), latency.worst.high], [row, row],
                  color=colour, linewidth=6, alpha=0.18, solid_capstyle="butt")  # fmt: skip
        p50, p99, worst = (each.typical for each in (latency.p50, latency.p99, latency.worst))
        for value, marker, size in ((p50, "o", 7), (p99, "|", 13), (worst, "D", 6)):
            axes.plot(max(value, least), row, marker, color=colour, markersize=size, markeredgewidth=2,
                      fillstyle="none" if marker == "D" else "full")  # fmt: skip
        axes.text(latency.worst.high * 1.12, row, str(latency.worst), va="center", fontsize=9.5)
    for marker, label in (("o", "median"), ("|", "99th percentile"), ("D", "worst")):
        axes.plot([], [], marker, color="#08306b", linestyle="none", markeredgewidth=2, label=label,
                  fillstyle="none" if marker == "D" else "full")  # fmt: skip
    axes.plot([], [], color="#08306b", linewidth=6, alpha=0.18, label="worst, low to high costs")
    axes.set_xscale("log")
    highest = max((each.worst.high for each in found.values()), default=10.0) or 10.0
    axes.set_xlim(least, highest * 12)
    _time_axis(axes.xaxis)
    _names(axes, bench, series, names)
    axes.set_xlabel("added latency of a fault")
    _under(figure, axes, 4)
    page = show(series.page_bytes)
    _head(
        figure, bench, series,
        f"Added latency of a stage 2 fault: {series.vcpus} vCPU{'s' * (series.vcpus != 1)} on one {page} "
        "page",
    )  # fmt: skip
    _foot(figure, _NAMES_MARKED)
    _room(figure, left=0.27, below=1.45)
    return figure


# --- What they share -----------------------------------------------------------------------------

_NAMES_MARKED = "!: unsafe in some scenario    X, grey: the guest may not see its own image"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def _names(axes: Axes, bench: Bench, series: Series, names: Sequence[str]) -> None:
    """Write options at the left, first at the top."""
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([f"{n} {bench.mark(series, n)}".rstrip() for n in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(_GREY if bench.mark(series, name) == "X" else "black")
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.grid(True, axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def _under(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    height = figure.get_size_inches()[1]
    figure.legend(
        handles, labels, loc="lower center", ncol=columns, frameon=False, fontsize=10,
        bbox_to_anchor=(0.5, 0.36 / height), columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def _room(figure: Figure, *, left: float, below: float) -> None:
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=left, right=0.98, top=1 - 0.85 / height, bottom=below / height)


def _head(figure: Figure, bench: Bench, series: Series, title: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - 0.12 / height, title, fontsize=15, fontweight="bold", va="top")
    vm = series.vms[len(series.vms) // 2]
    said = (
        f"platform {bench.platform.name}, cost set {bench.model.name}, {show(series.page_bytes)} pages, "
        f"image {show(vm.image_bytes)}, {series.vcpus} vCPU{'s' * (series.vcpus != 1)}; added to a "
        "hypervisor that does no maintenance"
    )
    figure.text(0.012, 1 - 0.45 / height, said, fontsize=10, color="#404040", va="top")


def _foot(figure: Figure, text: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.012, 0.1 / height, text, fontsize=9.5, color="#404040", va="bottom")


def _ram_axis(axes: Axes, series: Series) -> None:
    ram = [vm.ram_bytes for vm in series.vms]
    axes.set_xticks(ram[:: max(1, len(ram) // 7)], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xticklabels([show(size) for size in ram[:: max(1, len(ram) // 7)]])
    axes.set_xlabel("guest RAM")


def _time_axis(axis: Any) -> None:
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
