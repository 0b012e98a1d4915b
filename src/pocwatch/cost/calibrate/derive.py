"""Samples to a cost set.

A cost's low bound is the least 10th percentile of its samples, high the greatest 90th, typical the
median of the medians. Hits are measured with working sets that the last cache holds, one thread; lines
that no cache has with all working sets; the bandwidth with those that no cache holds, at the number of
threads that gives most. What EL0 cannot measure is taken from the set `default`, as assumed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict

from pocwatch.cost.calibrate.measure import Cpu, Sample
from pocwatch.cost.model import COSTS, Cost, CostModel
from pocwatch.cost.quantity import Estimate, Unit

_POC = ("dc_cvac", "dc_civac")


def costs(
    samples: Sequence[Sample], cpu: Cpu, last_cache_bytes: int, rest: CostModel
) -> dict[str, Cost]:
    """Return every cost: from samples where there are some, else `rest`'s, marked as assumed."""

    def among(test: Callable[[Sample], bool]) -> list[Sample]:
        return [s for s in samples if s.threads == 1 and test(s)]

    def held(sample: Sample) -> bool:
        return sample.bytes <= last_cache_bytes

    used = {
        "dc_poc_dirty": among(lambda s: s.op in _POC and s.state == "dirty" and held(s)),
        "dc_poc_clean": among(lambda s: s.op in _POC and s.state == "clean" and held(s)),
        "dc_poc_absent": among(lambda s: s.op in _POC and s.state == "absent"),
        "dc_pou": among(lambda s: s.op == "dc_cvau" and held(s)),
        "ic_ivau": among(lambda s: s.op == "ic_ivau" and held(s)),
    }
    found = {name: _per_line(chosen) for name, chosen in used.items() if chosen}
    if dsb := _dsb(samples):
        found["dsb"] = dsb
    if bandwidth := _bandwidth(samples, cpu.line_bytes, last_cache_bytes):
        found["clean_bandwidth"] = bandwidth
    return {
        name: found.get(name)
        or Cost(rest[name], f"assumed: not measured; taken from the set {rest.name!r}")
        for name in COSTS
    }


def _per_line(samples: list[Sample]) -> Cost:
    estimate = Estimate(
        min(s.ns[0] for s in samples),
        statistics.median(s.ns[1] for s in samples),
        max(s.ns[2] for s in samples),
    )
    sizes = [s.bytes // 1024 for s in samples]
    ops = ", ".join(sorted({s.op for s in samples}))
    return Cost(estimate, f"calibrated: {ops}, {min(sizes)} to {max(sizes)} KiB")


def _dsb(samples: Sequence[Sample]) -> Cost | None:
    by_state = {s.state: s.ns for s in samples if s.op == "dsb"}
    if set(by_state) != {"idle", "after_dc"}:
        return None
    idle, busy = by_state["idle"], by_state["after_dc"]
    low, typical, high = sorted((idle[0], busy[1], busy[2]))
    source = "calibrated: low with nothing to wait for, else after one clean"
    return Cost(Estimate(low, typical, high), source)


def _bandwidth(samples: Sequence[Sample], line_bytes: int, last_cache_bytes: int) -> Cost | None:
    large = [s for s in samples if s.op == "write_clean" and s.bytes > last_cache_bytes]
    if not large:
        return None
    threads = min({s.threads for s in large}, key=lambda n: _median_ns(large, n))
    rates = [[line_bytes * 1e9 / ns for ns in s.ns] for s in large if s.threads == threads]
    estimate = Estimate(
        min(r[2] for r in rates),
        statistics.median(r[1] for r in rates),
        max(r[0] for r in rates),
        Unit.BYTES_PER_S,
    )
    return Cost(estimate, f"calibrated: stores and cleans beyond the last cache, {threads} threads")


def _median_ns(samples: Sequence[Sample], threads: int) -> float:
    return statistics.median(s.ns[1] for s in samples if s.threads == threads)


def toml(
    found: dict[str, Cost],
    samples: Sequence[Sample],
    cpu: Cpu,
    *,
    description: str,
    emulated: bool,
    complete: bool,
) -> str:
    """Return the text of a cost set, with the samples it was made from."""
    head = {
        "description": description,
        "machine": f"CTR_EL0 {cpu.ctr}",
        "line_bytes": cpu.line_bytes,
        "emulated": emulated,
        "complete": complete,
    }
    lines = ["# Written by `pocwatch calibrate`. Costs that EL0 cannot measure are assumed."]
    lines += _pairs(head)
    for name, cost in found.items():
        e = cost.estimate
        numbers = {k: float(f"{v:.4g}") for k, v in _bounds(e)}
        lines += ["", f"[{name}]"]
        lines += _pairs(numbers | {"unit": e.unit.value, "source": cost.source})
    for sample in samples:
        lines += ["", "[[measurements]]", *_pairs(asdict(sample))]
    return "\n".join(lines) + "\n"


def _bounds(estimate: Estimate) -> list[tuple[str, float]]:
    return [("low", estimate.low), ("typical", estimate.typical), ("high", estimate.high)]


def _pairs(values: dict[str, object]) -> list[str]:
    # a JSON scalar, or array of numbers, is also a TOML one
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]
