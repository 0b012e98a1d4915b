"""What `pocwatch bench` found, in sentences: which option costs least where, why, how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pocwatch.cost.counts import Counts
from pocwatch.cost.quantity import Estimate
from pocwatch.cost.start.bench import Bench
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.series import (
    CORNERS,
    QUANTITIES,
    Crossover,
    Series,
    cheapest,
    crossovers,
    surely_less,
)
from pocwatch.cost.start.sizes import show

_NAMES = {
    "start": "Until the first guest instruction",
    "total": "Over the VM's life (start, boot, stop)",
}
BEFORE = "pou-on-fault"
_BINARY = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def paragraphs(bench: Bench) -> list[str]:
    """Return the text, a paragraph each, for every page size and number of vCPUs."""
    found: list[str] = []
    for series in bench.series:
        found += filter(None, _of_series(bench, series))
    return found


def typical(value: Estimate) -> str:
    """Return the typical value alone, as many digits as it deserves."""
    return str(value).partition(" (")[0]


def binary(size_bytes: float) -> str:
    """Return a size with two digits: 1.2 GiB."""
    scale, name = next((s for s in _BINARY if size_bytes >= s[0]), (1, "bytes"))
    value = size_bytes / scale
    return f"{value:.0f} {name}" if value >= 10 or value == int(value) else f"{value:.1f} {name}"


def _of_series(bench: Bench, series: Series) -> Iterator[str]:
    yield _conditions(bench, series)
    yield _slopes(series, bench.of_thread(series))
    thread = [n for n in bench.of_thread(series) if bench.safety_of(series, n).boots]
    if len(thread) > 1:
        for quantity in QUANTITIES:
            yield _winners(bench, series, quantity, thread, "Of the three ways of 2013,")
        yield _reasons(bench, series, thread)
        yield _crossing(series, thread)
    everyone = bench.booting(series)
    if set(everyone) - set(thread):
        among = "Of all options under which the guest sees its image,"
        yield _winners(bench, series, "total", everyone, among)
    yield _faults(series, everyone)
    yield _right(bench, series)
    yield _wrong(bench, series)


def _conditions(bench: Bench, series: Series) -> str:
    first, last = series.vms[0], series.vms[-1]
    ram = show(first.ram_bytes)
    if first is not last:
        ram += f" to {show(last.ram_bytes)}"
    touched = dict.fromkeys((binary(first.touched_bytes), binary(last.touched_bytes)))
    return (
        f"Platform {bench.platform.name}, cost set {bench.model.name}, {ram} of guest RAM mapped in "
        f"{show(series.page_bytes)} pages, {series.vcpus} vCPU{'s' * (series.vcpus != 1)}, an image of "
        f"{show(first.image_bytes)}; the guest touches {' to '.join(touched)}. Times are what is added "
        "to a hypervisor that does no maintenance."
    )


def _slopes(series: Series, names: Sequence[str]) -> str:
    """Say what each GiB of RAM adds, between the smallest and the largest VM."""
    size_gib = (series.vms[-1].ram_bytes - series.vms[0].ram_bytes) / (1 << 30)
    if not size_gib or not names:
        return ""
    told = []
    for name in names:
        first, last = (series.options[name][n].total for n in (0, -1))
        grown = [getattr(last, corner) - getattr(first, corner) for corner in CORNERS]
        slope = Estimate(*(max(0.0, each / size_gib) for each in grown))
        told.append(f"{slope} under {name}")
    return f"Each GiB of guest RAM adds {'; '.join(told)}."


def _winners(
    bench: Bench, series: Series, quantity: str, names: Sequence[str], among: str
) -> str:
    """Say who costs least where, and how it compares with the dearest."""
    of = QUANTITIES[quantity]
    won = cheapest(series, quantity, names)
    ram = {vm.ram_bytes: n for n, vm in enumerate(series.vms)}
    parts = []
    for name, first, last in won:
        times = [of(series.options[name][ram[at]]) for at in (first, last)]
        fails = len(bench.safety_of(series, name).fails)
        wrong = f", unsafe in {fails} scenario{'s' * (fails != 1)}" if fails else ", safe"
        parts.append(f"{name} {_range(first, last, len(series.vms) > 1)}({_times(times)}{wrong})")
    text = f"{_NAMES[quantity]}: {among[0].lower()}{among[1:]} the cheapest is {'; '.join(parts)}."
    name, _, last = won[-1]
    dearest = max(names, key=lambda n: of(series.options[n][-1]).typical)
    if dearest != name:
        text += (
            f" At {show(last)} the dearest is {dearest} with {of(series.options[dearest][-1])}."
        )
    return text + _sure(series, quantity, names, won)


def _range(first: int, last: int, several: bool) -> str:
    if not several:
        return ""
    return f"at {show(first)} " if first == last else f"from {show(first)} to {show(last)} "


def _times(times: Sequence[Estimate]) -> str:
    return " to ".join(dict.fromkeys(map(typical, times)))


def _sure(
    series: Series, quantity: str, names: Sequence[str], won: Sequence[tuple[str, int, int]]
) -> str:
    """Say where the order holds with low and high costs, too."""
    of = QUANTITIES[quantity]
    unsure: list[int] = []
    for n, vm in enumerate(series.vms):
        best = next(name for name, first, last in won if first <= vm.ram_bytes <= last)
        value = of(series.options[best][n])
        others = [of(series.options[name][n]) for name in names if name != best]
        if not all(surely_less(value, other) or value == other for other in others):
            unsure.append(vm.ram_bytes)
    if not unsure:
        return " That holds with low, typical and high costs alike."
    if len(unsure) == len(series.vms):
        return " With low or high costs the order is another one, so it is not settled."
    where = ", ".join(map(show, unsure))
    return f" With low or high costs the order is another one at {where}; elsewhere it holds."


def _reasons(bench: Bench, series: Series, names: Sequence[str]) -> str:
    """Say how much each cleans, and what most of its time is."""
    line = bench.platform.dminline_bytes
    parts = []
    for name in names:
        outcome = series.options[name][-1]
        cleaned = binary(_cleaned(outcome.counts) * line)
        parts.append(f"{name} cleans {cleaned} to the PoC{_most(outcome)}")
    vm = series.vms[-1]
    return (
        f"Why, at {show(vm.ram_bytes)}: the guest touches {binary(vm.touched_bytes)} and the VMM writes "
        f"{binary(vm.image_bytes)}; {'; '.join(parts)}."
        f"{_base(series, names)}"
    )


def _base(series: Series, names: Sequence[str]) -> str:
    """Say what of it was there before the patch of 2013, if all of them do that, too."""
    if BEFORE not in series.options:
        return ""
    base = series.options[BEFORE][-1]
    contained = all(
        getattr(series.options[name][-1].counts, count) >= getattr(base.counts, count)
        for name in names
        for count in Counts.__slots__
    )
    said = f" All of them contain what {BEFORE} did before, {typical(base.total)}."
    return said if contained else ""


def _cleaned(counts: Counts) -> int:
    return counts.dc_poc_dirty + counts.dc_poc_clean + counts.dc_poc_absent


def _most(outcome: Outcome) -> str:
    """Return the event that takes most of the time, and its part."""
    once = [step for step in outcome.steps if step.phase.value != "run"]
    whole = outcome.total.typical
    if not whole:
        return ""
    by_what: dict[str, float] = {}
    for step in once:
        by_what[step.what] = by_what.get(step.what, 0.0) + step.time.typical
    what, time = max(by_what.items(), key=lambda item: item[1])
    return f', and {100 * time / whole:.0f}% of its time is "{what}"'


def _crossing(series: Series, names: Sequence[str]) -> str:
    if len(series.vms) < 2:
        return ""
    told = []
    for quantity in QUANTITIES:
        when = "until the first instruction" if quantity == "start" else "over the life"
        told += [f"{when} {crossed(c)}" for c in crossovers(series, quantity, names)]
    if not told:
        return "Their curves do not cross in this range."
    return f"Crossovers: {'; '.join(told)}."


def crossed(crossover: Crossover) -> str:
    """Return who is cheaper than whom from where on."""
    low = binary(crossover.at_least) if crossover.at_least else "below this range"
    high = binary(crossover.at_most) if crossover.at_most else "beyond this range"
    where = f"above {binary(crossover.typical_bytes)} ({low} to {high})"
    return f"{crossover.cheaper} is cheaper than {crossover.dearer} {where}"


def _faults(series: Series, names: Sequence[str]) -> str:
    """Say what a fault pays at worst."""
    known = [
        (latency, name) for name in names if (latency := series.options[name][-1].latency) is not None
    ]
    if not known:
        return ""
    worst, name = max(known, key=lambda pair: pair[0].worst.typical)
    least, best = min(known, key=lambda pair: pair[0].worst.typical)
    page = show(series.page_bytes)
    return (
        f"A fault on a {page} page, {worst.vcpus} vCPU{'s' * (worst.vcpus != 1)} at once: at worst "
        f"{name} adds {worst.worst}, to the median fault {typical(worst.p50)}; "
        f"{best} adds at most {least.worst}."
    )


def _right(bench: Bench, series: Series) -> str:
    """Say which option fails least and what it costs."""
    names = list(series.options)
    fewest = min(len(bench.safety_of(series, n).fails) for n in names)
    best = [n for n in names if len(bench.safety_of(series, n).fails) == fewest]
    ram = show(series.vms[-1].ram_bytes)
    costs = "; ".join(
        f"{n}, {typical(series.options[n][-1].start)} until the first instruction and "
        f"{typical(series.options[n][-1].total)} in all at {ram}, "
        f"which fails {', '.join(bench.safety_of(series, n).fails) or 'nothing'}"
        for n in best
    )
    if fewest == 0:
        return f"Safe in every scenario: {costs}."
    return f"No option is safe in every scenario. Fewest fail under {costs}."


def _wrong(bench: Bench, series: Series) -> str:
    """Name what is cheap because it does not do the job."""
    bad = [n for n in series.options if not bench.safety_of(series, n).boots]
    if not bad:
        return ""
    costs = ", ".join(f"{n} ({typical(series.options[n][-1].total)})" for n in bad)
    return f"Not an answer at any price, as the guest may not see its own image: {costs}."
