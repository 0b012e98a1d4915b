"""Counted operations to time, on a machine whose costs are round numbers."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocwatch.cost import model
from pocwatch.cost.charge import PARTS, cost, parts
from pocwatch.cost.counts import Counts
from pocwatch.cost.model import COSTS, Cost, CostModel
from pocwatch.cost.quantity import Estimate, Unit

BANDWIDTH = Estimate(5e9, 10e9, 20e9, Unit.BYTES_PER_S)


def machine(**given: float) -> CostModel:
    """All costs are 0 but those given: low is half of it, high is twice."""
    costs = {name: Estimate(0, 0, 0) for name in COSTS} | {"clean_bandwidth": BANDWIDTH}
    costs |= {name: Estimate(ns / 2, ns, ns * 2) for name, ns in given.items()}
    return CostModel("test", "", {k: Cost(v, "assumed: test") for k, v in costs.items()})


COUNTS = st.builds(
    Counts, **{f.name: st.integers(0, 10**9) for f in fields(Counts)}
)  # type: ignore[arg-type]


def test_every_count_is_charged_and_every_cost_is_used() -> None:
    charged = [pair for costs in PARTS.values() for pair in costs.items()]
    assert sorted(count for count, _ in charged) == sorted(
        {f.name for f in fields(Counts)} - {"bytes_cleaned"}
    )
    assert {cost for _, cost in charged} == set(COSTS) - {"clean_bandwidth"}


def test_a_sum_of_operations() -> None:
    costs = machine(dc_poc_absent=10, dsb=100, stage2_fault=2000, trap=3000)
    counts = Counts(dc_poc_absent=64, dsb=1, stage2_faults=1, traps_tvm=2, traps_tsw=3, traps_dc=5)
    time = cost(costs, counts)
    assert time.typical == 64 * 10 + 100 + 2000 + 10 * 3000
    assert (time.low, time.high) == (time.typical / 2, time.typical * 2)


def test_dirty_lines_wait_for_memory() -> None:
    """64 bytes at 10 GB/s are 6.4 ns: more than 1 ns, less than 10."""
    lines = Counts(dc_poc_dirty=1000)
    assert cost(machine(dc_poc_dirty=1), lines).typical == pytest.approx(6400)
    assert cost(machine(dc_poc_dirty=10), lines).typical == 10000
    assert cost(machine(dc_poc_dirty=1), Counts(dc_poc_absent=1000)).typical == 0


def test_more_threads_help_until_memory_is_full() -> None:
    costs, lines = machine(dc_poc_dirty=64), Counts(dc_poc_dirty=10**6)
    times = [cost(costs, lines, threads=n).typical for n in (1, 2, 8, 16, 100)]
    assert times[:3] == [64e6, 32e6, 8e6]
    assert times[3] == times[4] == pytest.approx(6.4e6)


def test_bytes_that_set_way_writes_back_count() -> None:
    counts = Counts(set_way_lines=100, bytes_cleaned=6400)
    assert cost(machine(set_way_line=1), counts).typical == pytest.approx(640)
    assert Counts(dc_poc_dirty=2, bytes_cleaned=5).written_back(64) == 128


@given(COUNTS, COUNTS)
def test_work_adds_up(a: Counts, b: Counts) -> None:
    """One after the other takes as long as both at once, or longer: memory may be idle in one."""
    costs = model.load("default")
    both, one, other = cost(costs, a + b), cost(costs, a), cost(costs, b)
    assert both.high <= (one + other).high * (1 + 1e-9)
    assert both.low >= max(one.low, other.low)
    assert cost(costs, a * 3).typical == pytest.approx(3 * one.typical)


@given(COUNTS, st.integers(1, 64))
def test_parts_add_up(counts: Counts, threads: int) -> None:
    costs = model.load("default")
    split = parts(costs, counts, threads=threads)
    assert list(split) == list(PARTS)
    assert cost(costs, counts, threads=threads).typical == pytest.approx(
        sum(part.typical for part in split.values())
    )


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="threads is 0: accepted is 1 or more"):
        cost(machine(), Counts(), threads=0)
    with pytest.raises(ValueError, match="counts: dsb is -1: accepted are whole numbers"):
        Counts(dsb=-1)
    with pytest.raises(ValueError, match=r"counts: dsb is 1\.5"):
        Counts(dsb=1.5)  # type: ignore[arg-type]
