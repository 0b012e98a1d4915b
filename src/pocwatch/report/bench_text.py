"""What `pocwatch bench` found, as tables and text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pocwatch.cost.start import assumptions
from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.safety import LEFT_OUT, Safety
from pocwatch.cost.start.series import Series
from pocwatch.cost.start.sizes import show
from pocwatch.report.bench_words import paragraphs, typical

WIDTH = 100
_DETAIL = ("start", "total", "fault p50", "p99", "worst", "each second", "fails")
_COLUMNS = 6  # of RAM sizes


def text(bench: Bench, *, assumed: bool = False) -> str:
    """Return the report; `assumed`: with every assumption."""
    blocks: list[str] = []
    for series in bench.series:
        if len(series.vms) > 1:
            blocks.append(_sweep(bench, series))
        blocks.append(_detail(bench, series, len(series.vms) // 2))
    blocks.append(_safety(bench))
    blocks += [textwrap.fill(paragraph, WIDTH, break_on_hyphens=False) for paragraph in paragraphs(bench)]
    blocks.append(_assumptions(bench) if assumed else _not_settled(bench))
    blocks.append(f"Moments at which vCPUs fault: drawn with --seed {bench.seed}.")
    return "\n\n".join(blocks) + "\n"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with aligned columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        right = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)


def _marked(bench: Bench, series: Series, name: str) -> str:
    return f"{bench.mark(series, name)} {name}"


def shown(series: Series) -> list[int]:
    """Return which RAM sizes a narrow table shows: first and last, and some evenly between."""
    last = len(series.vms) - 1
    return sorted({round(n * last / (_COLUMNS - 1)) for n in range(_COLUMNS)})


def _sweep(bench: Bench, series: Series) -> str:
    columns = shown(series)
    rows = [["  total added time", *(show(series.vms[n].ram_bytes) for n in columns)]]
    rows += [
        [_marked(bench, series, name), *(typical(line[n].total) for n in columns)]
        for name, line in series.options.items()
    ]
    return table(rows)


def _detail(bench: Bench, series: Series, n: int) -> str:
    vm = series.vms[n]
    head = ["  " + show(vm.ram_bytes), *_DETAIL]
    rows = [head, *(_row(bench, series, name, line[n]) for name, line in series.options.items())]
    return f"{vm}: typical (low to high)\n{table(rows)}"


def _row(bench: Bench, series: Series, name: str, outcome: Outcome) -> list[str]:
    latency = outcome.latency
    faults = ["-"] * 3
    if latency is not None:
        faults = [typical(latency.p50), typical(latency.p99), str(latency.worst)]
    return [
        _marked(bench, series, name), str(outcome.start), str(outcome.total), *faults,
        typical(outcome.steady), _fails(bench.safety_of(series, name)),
    ]  # fmt: skip


def _fails(safety: Safety) -> str:
    return f"{len(safety.fails)} of {safety.judged}"


def _safety(bench: Bench) -> str:
    """Return what fails, policy by policy; policies that fail the same are told together."""
    alike: dict[tuple[str, ...], list[Safety]] = {}
    for safety in bench.safety.values():
        if safety.why_not is None and not safety.safe:
            alike.setdefault((*safety.fails, "", *safety.leaks), []).append(safety)
    lines = [
        "! unsafe, X unsafe and the guest may not see its own image "
        f"(pocwatch check on {bench.platform.name}, all scenarios but {LEFT_OUT}):"
    ]
    for group in alike.values():
        names = ", ".join(safety.policy for safety in group)
        fails = ", ".join(f"{s} (leak)" if s in group[0].leaks else s for s in group[0].fails)
        lines += _hanging(f"{names}: {fails}")
    if not alike:
        lines = [f"all are safe (pocwatch check on {bench.platform.name}, all scenarios but {LEFT_OUT})"]
    for safety in bench.safety.values():
        if safety.why_not is not None:
            lines += _hanging(f"{safety.policy} is not applicable: {safety.why_not}")
    return "\n".join(lines)


def _hanging(line: str) -> list[str]:
    return textwrap.wrap(
        line, WIDTH, initial_indent="  ", subsequent_indent="      ",
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _not_settled(bench: Bench) -> str:
    guesses = sum(cost.assumed for cost in bench.model.costs.values())
    return (
        f"{guesses} of {len(bench.model.costs)} costs of set {bench.model.name} are assumed; "
        "--assumptions shows what else is."
    )


def _assumptions(bench: Bench) -> str:
    return "\n".join(["Assumed:", *_assumed(bench)])


def _assumed(bench: Bench) -> Iterator[str]:
    for name, value in asdict(bench.assumed).items():
        spelled = show(value) if name.endswith("_bytes") else str(value)
        yield from _hanging(f"{name}={spelled}: {assumptions.REASONS[name]}")
    for statement in assumptions.STATEMENTS:
        yield from _hanging(statement)
    for name, cost in bench.model.costs.items():
        if cost.assumed:
            yield from _hanging(f"cost {name}, {cost.estimate}: {' '.join(cost.source.split())}")
