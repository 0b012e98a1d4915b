"""The computed parts of docs/bench.md: the default run of `pocwatch bench`, and the run of 40 vCPUs."""

from __future__ import annotations

import functools

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.start import sizes, vm
from pocwatch.cost.start.assumptions import REASONS, STATEMENTS, Assumptions
from pocwatch.cost.start.bench import THREAD, Bench
from pocwatch.cost.start.boot import Boot
from pocwatch.cost.start.option import outcomes
from pocwatch.cost.start.safety import judge
from pocwatch.cost.start.series import Series
from pocwatch.kvm.policies import POLICIES
from pocwatch.report.bench_text import shown
from pocwatch.report.bench_words import paragraphs, typical
from pocwatch.report.plots import write

_E2 = ("none", *THREAD, "mainline-2021")


@functools.cache
def default() -> Bench:
    """Return what `pocwatch bench` without options finds."""
    return _bench(tuple(POLICIES), sizes.parse_many("64M..1T", "RAM"), "xgene-l3", "default")


@functools.cache
def forty() -> Bench:
    """Return the published case: 40 vCPUs on 1 GiB pages (fact E2)."""
    ram = [20 << 30]
    return _bench(_E2, ram, "xgene-l3", "kunpeng920", page=1 << 30, touched=20 << 30, vcpus=40)


def _bench(
    names: tuple[str, ...], ram: list[int], platform: str, costs: str, *,
    page: int = 4096, touched: int | None = None, vcpus: int = 4,
) -> Bench:  # fmt: skip
    machine, cost_set = platforms.load(platform), model.load(costs)
    safety = {name: judge(POLICIES[name], machine) for name in names}
    found = [
        outcome
        for size in ram
        for name, said in safety.items()
        if said.why_not is None
        for outcome in outcomes(
            POLICIES[name], machine, cost_set, Boot(),
            vm.make(size, page, touched_bytes=touched, vcpus=vcpus), 0,
        )
    ]  # fmt: skip
    return Bench(machine, cost_set, Assumptions(), 0, tuple(found), safety)


def words() -> str:
    """Return the text that the default run ends with."""
    return "\n\n".join(paragraphs(default())) + "\n"


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _fails(bench: Bench, series: Series, name: str) -> str:
    safety = bench.safety_of(series, name)
    return f"{bench.mark(series, name)} {len(safety.fails)} of {safety.judged}"


def total() -> str:
    """Return what each option adds, against RAM."""
    (series,) = default().series
    columns = shown(series)
    head = ["option", "fails", *(sizes.show(series.vms[n].ram_bytes) for n in columns)]
    rows = [
        [f"`{name}`", _fails(default(), series, name), *(typical(line[n].total) for n in columns)]
        for name, line in series.options.items()
    ]
    return _rows(head, rows)


def contended() -> str:
    """Return the latency of a fault that 40 vCPUs take on one 1 GiB page."""
    (series,) = forty().series
    rows = [
        [f"`{name}`", typical(latency.p50), typical(latency.p99), str(latency.worst)]
        for name, (outcome,) in series.options.items()
        if (latency := outcome.latency) is not None
    ]
    return _rows(["option", "median", "99th percentile", "worst"], rows)


def assumptions() -> str:
    """Return everything that is assumed."""
    values = [
        f"- `{name}={value if not name.endswith('_bytes') else sizes.show(value)}`: {REASONS[name]}."
        for name in REASONS
        if (value := getattr(Assumptions(), name)) is not None
    ]
    return "\n".join([*values, *(f"- {said[0].upper()}{said[1:]}." for said in STATEMENTS)]) + "\n"


def pictures() -> dict[str, str]:
    """Return the drawings of the default run, by name of file."""
    (series,) = default().series
    return {
        f"bench-{name}.svg": write.picture(draw, default(), series, "svg").decode()
        for name, draw in write.drawings(series).items()
    }
