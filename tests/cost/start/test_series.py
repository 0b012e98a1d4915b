"""Who is cheapest where, and crossovers, on curves that are known."""

from __future__ import annotations

import pytest
from vms import small

from pocwatch.cost.counts import Counts
from pocwatch.cost.quantity import Estimate
from pocwatch.cost.start.events import Phase
from pocwatch.cost.start.option import Outcome, Step
from pocwatch.cost.start.series import Series, cheapest, crossovers, group, surely_less
from pocwatch.cost.start.vm import Present

MIB = 1 << 20
RAM = (64, 128, 256, 512, 1024)


def line(name: str, *times: Estimate) -> list[Outcome]:
    return [
        Outcome(
            name, Present.WRITTEN, False, small(ram),
            (Step(Phase.LOAD, "x", (), 1, Counts(), time),), None,
        )
        for ram, time in zip(RAM, times, strict=True)
    ]  # fmt: skip


def flat(name: str, low: float, typical: float, high: float) -> list[Outcome]:
    return line(name, *[Estimate(low, typical, high)] * len(RAM))


def growing(name: str, low: float, typical: float, high: float) -> list[Outcome]:
    """So many ns a MiB."""
    return line(name, *[Estimate(low * ram, typical * ram, high * ram) for ram in RAM])


def series(*lines: list[Outcome]) -> Series:
    (found,) = group(outcome for each in lines for outcome in each)
    return found


def test_crossover_between_points() -> None:
    """1 ns a MiB against 200 ns: at 200 MiB, between 128 and 256."""
    found = series(growing("rises", 1, 1, 1), flat("flat", 200, 200, 200))
    (crossover,) = crossovers(found, "total", ["rises", "flat"])
    assert (crossover.cheaper, crossover.dearer) == ("flat", "rises")
    assert crossover.typical_bytes == pytest.approx(200 * MIB)
    assert crossover.at_least == crossover.at_most == crossover.typical_bytes


def test_costs_move_a_crossover() -> None:
    """Low costs: 1 against 100, at 100 MiB. High: 1 against 800, at 800 MiB."""
    found = series(growing("rises", 1, 1, 1), flat("flat", 100, 200, 800))
    (crossover,) = crossovers(found, "total", ["flat", "rises"])
    assert crossover.cheaper == "flat"
    assert crossover.at_least == pytest.approx(100 * MIB)
    assert crossover.at_most == pytest.approx(800 * MIB)


def test_a_crossover_may_leave_the_range() -> None:
    found = series(growing("rises", 1, 1, 1), flat("flat", 10, 200, 5000))
    (crossover,) = crossovers(found, "total", ["flat", "rises"])
    assert crossover.at_least is None
    assert crossover.at_most is None


def test_no_crossover() -> None:
    assert crossovers(series(flat("a", 1, 2, 3), flat("b", 2, 4, 6)), "start", ["a", "b"]) == []


def test_cheapest_by_ranges() -> None:
    found = series(growing("rises", 1, 1, 1), flat("flat", 200, 200, 200))
    assert cheapest(found, "total", ["rises", "flat"]) == [
        ("rises", 64 * MIB, 128 * MIB),
        ("flat", 256 * MIB, 1024 * MIB),
    ]


def test_surely_less_takes_all_three() -> None:
    assert surely_less(Estimate(1, 2, 3), Estimate(2, 3, 4))
    assert not surely_less(Estimate(1, 2, 9), Estimate(2, 3, 4))
