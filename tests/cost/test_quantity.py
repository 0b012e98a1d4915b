"""Estimates: bounds stay bounds, and nobody is shown more digits than there are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocwatch.cost.quantity import Estimate, Unit, duration, largest, total

NUMBERS = st.floats(1e-6, 1e15) | st.integers(0, 10**6).map(float)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    return Estimate(*sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS))))


def values(estimate: Estimate) -> tuple[float, ...]:
    return (estimate.low, estimate.typical, estimate.high)


@given(estimates(), estimates())
def test_a_sum_holds_the_sums_of_all_that_the_parts_hold(a: Estimate, b: Estimate) -> None:
    for x, y in itertools.product(values(a), values(b)):
        assert (a + b).contains(x + y)
        assert largest(a, b).contains(max(x, y))
    assert (a + b).typical == a.typical + b.typical


@given(estimates())
def test_rounding_never_narrows(estimate: Estimate) -> None:
    shown = estimate.deserved()
    assert shown.low <= estimate.low * (1 + 1e-8)
    assert shown.high >= estimate.high * (1 - 1e-8)
    assert str(estimate)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((99.2e9, 104.06e9, 108.8e9), "104 s (99 to 109)"),
        ((7.7, 30, 143), "30 ns (7 to 150)"),
        ((3020, 3050, 3080), "3.05 us (3.02 to 3.08)"),
        ((160, 2700, 5400), "3 us (0.16 to 6)"),
        ((1e6, 1.234567e6, 1.5e6), "1.2 ms (1 to 1.5)"),
        ((0, 0, 0), "0 ns"),
        ((5, 5, 5), "5 ns"),
    ],
)
def test_shown_with_the_digits_it_deserves(numbers: tuple[float, ...], said: str) -> None:
    assert str(Estimate(*numbers)) == said


def test_an_exact_number_gets_three_digits() -> None:
    assert Estimate(*[123456.0] * 3).deserved().typical == 123000


def test_a_rate_gives_a_duration() -> None:
    """The highest rate is the shortest time."""
    rate = Estimate(1e9, 2e9, 4e9, Unit.BYTES_PER_S)
    assert values(duration(4_000_000_000, rate)) == (1e9, 2e9, 4e9)
    assert str(rate) == "2 GB/s (1 to 4)"


def test_counts_scale_and_nothing_is_zero() -> None:
    assert values(1000 * Estimate(1, 2, 3)) == (1000, 2000, 3000)
    assert values(Estimate(1, 2, 3) / 2) == (0.5, 1, 1.5)
    assert values(total([])) == (0, 0, 0)


@pytest.mark.parametrize("numbers", [(2, 1, 3), (1, 3, 2), (-1, 0, 1), (0, 0, float("inf"))])
def test_what_is_no_estimate(numbers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="low <= typical <= high"):
        Estimate(*numbers)


def test_units_do_not_mix() -> None:
    rate = Estimate(1, 1, 1, Unit.BYTES_PER_S)
    with pytest.raises(ValueError, match="ns and bytes/s"):
        Estimate(1, 1, 1) + rate
    with pytest.raises(ValueError, match="accepted is more than 0 bytes/s"):
        duration(1, Estimate(0, 1, 1, Unit.BYTES_PER_S))
