"""pocwatch, SPIN and rumur on one question: N lines written, cleaned or not, read with the MMU off.

All get the same model: the cache moves of the text for SPIN and rumur are tabulated from pocwatch's line
model. Prints a table; what is not installed is left out with a message.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import ours
import rumur_driver
import spin_driver
from measured import Limits, Measured, Said

from pocwatch import platforms
from pocwatch.kvm.export.murphi import murphi
from pocwatch.kvm.export.promela import promela
from pocwatch.kvm.export.question import Order, question
from pocwatch.platforms import Platform

CLEAN = "dc civac"
_HARDER = (Said.TIME, Said.MEMORY)
_DOCUMENT = Path(__file__).parents[2] / "docs" / "model-checkers.md"
_START = "<!-- measured: begin (bench/model_checkers/compare.py --update-docs) -->"
_END = "<!-- measured: end -->"

QUESTIONS = (
    (f"**Proving**: the host does `{CLEAN}`, so no read is stale. States, seconds of search.", CLEAN),
    ("**Finding**: the host cleans nothing. States until found, seconds, steps of the trace.", None),
)

Run = Callable[[int], Measured]


def _say(text: str) -> None:
    print(f"compare: {text}", file=sys.stderr)


def spin_run(platform: Platform, clean: str | None, mode: str, limits: Limits) -> Run:
    def run(lines: int) -> Measured:
        text = promela(question(platform, lines, clean=clean))
        with tempfile.TemporaryDirectory(prefix="pocwatch-spin-") as folder:
            return spin_driver.verify(text, Path(folder), mode, lines, limits)

    return run


def rumur_run(platform: Platform, clean: str | None, mode: str, limits: Limits) -> Run:
    def run(lines: int) -> Measured:
        order = Order.ANY if mode == "symmetric lines" else Order.ASCENDING
        text = murphi(question(platform, lines, clean=clean, order=order))
        with tempfile.TemporaryDirectory(prefix="pocwatch-rumur-") as folder:
            return rumur_driver.verify(text, Path(folder), mode, lines, limits)

    return run


def ours_run(platform: Platform, clean: str | None, mode: str, limits: Limits) -> Run:
    return lambda lines: ours.verify(platform, lines, clean, mode, limits)


def runs(platform: Platform, clean: str | None, limits: Limits) -> Iterator[tuple[str, str, Run]]:
    """Yield what there is to run: tool, mode, and a function of the number of lines."""
    for mode in ours.MODES:
        yield "pocwatch", mode, ours_run(platform, clean, mode, limits)
    if spin_driver.absent() is None:
        for mode in spin_driver.MODES:
            yield "SPIN", mode, spin_run(platform, clean, mode, limits)
    if rumur_driver.absent() is None:
        for mode in rumur_driver.MODES:
            yield "rumur", mode, rumur_run(platform, clean, mode, limits)


def measure(
    platform: Platform, clean: str | None, numbers: list[int], limits: Limits
) -> list[Measured]:
    """Run everything for growing numbers of lines, each until it meets a limit."""
    found = []
    for tool, mode, run in runs(platform, clean, limits):
        for lines in numbers:
            _say(f"{clean or 'no clean'}: {tool}, {mode}, {lines} lines")
            found.append(run(lines))
            if found[-1].said in _HARDER:
                break
    return found


def _cell(m: Measured | None) -> str:
    if m is None:
        return "–"
    if m.said in _HARDER:
        return f"> {m.states:,}, {m.said.value}" if m.states else m.said.value
    trace = "" if m.trace is None else f", {m.trace} steps"
    return f"{m.states:,} in {m.seconds:.2f} s{trace}"


def table(found: list[Measured]) -> str:
    """Return the runs as Markdown: a row per mode, a column per number of lines."""
    numbers = sorted({m.lines for m in found})
    rows = [["tool", "mode", *(f"N = {n}" for n in numbers), "build s"]]
    rows.append(["---", "---", *(["--:"] * (len(numbers) + 1))])
    for tool, mode in dict.fromkeys((m.tool, m.mode) for m in found):
        of_mode = {m.lines: m for m in found if (m.tool, m.mode) == (tool, mode)}
        builds = [m.build_s for m in of_mode.values()]
        build = f"{min(builds):.1f}–{max(builds):.1f}"
        rows.append([tool, mode, *(_cell(of_mode.get(n)) for n in numbers), build])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def preamble(platform: Platform, limits: Limits) -> str:
    """Return what all runs have in common."""
    return (
        f"Platform {platform.name}; at most {limits.seconds:g} s to build and as much to search, and "
        f"{limits.memory_mib} MiB, per run. After a limit more lines are not tried."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--lines", default="1,2,3,4,8,64", help="numbers N (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="per run (default: %(default)s)")
    parser.add_argument("--memory-mib", type=int, default=4096, help="per run (default: %(default)s)")
    parser.add_argument("--platform", default="xgene-l3", help="default: %(default)s")
    parser.add_argument(
        "--update-docs", action="store_true", help=f"put the tables into docs/{_DOCUMENT.name}"
    )
    arguments = parser.parse_args()
    try:
        arguments.lines = sorted({int(n) for n in arguments.lines.split(",")})
    except ValueError:
        parser.error(f"--lines was given {arguments.lines!r} but takes numbers, as 1,2,64")
    if arguments.lines[0] < 1:
        parser.error(f"--lines was given {arguments.lines[0]} but takes 1 or more")
    return arguments


def main() -> int:
    """Measure and print; return 0."""
    arguments = _arguments()
    for driver in (spin_driver, rumur_driver):
        absent = driver.absent()
        if absent:
            _say(f"left out: {absent}")
    platform = platforms.load(arguments.platform)
    limits = Limits(arguments.seconds, arguments.memory_mib)
    parts = []
    for title, clean in QUESTIONS:
        parts += [title, table(measure(platform, clean, arguments.lines, limits))]
    text = "\n\n".join([preamble(platform, limits), *parts])
    print(text)
    if arguments.update_docs:
        page = _DOCUMENT.read_text()
        before, _, rest = page.partition(_START)
        _, _, after = rest.partition(_END)
        _DOCUMENT.write_text(f"{before}{_START}\n{text}\n{_END}{after}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (platforms.PlatformError, OSError) as error:
        sys.exit(f"compare: {error}")
