"""Pictures as files: svg and png, the same bytes for the same input. Needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.series import Series
from pocwatch.cost.start.sizes import show
from pocwatch.report.plots import faults, ram, style, timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    found: dict[str, Drawing] = {"timeline": timeline.timeline, "faults": faults.faults}
    return {"ram": ram.against_ram, **found} if len(series.vms) > 1 else found


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

    with matplotlib.rc_context(style.SETTINGS):
        buffer = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        draw(bench, series).savefig(buffer, format=form, dpi=150, metadata=metadata)
        return buffer.getvalue()
