"""Numbers with their uncertainty: low, typical, high.

An Estimate says that the true value is expected between `low` and `high`, and what it is `typical`ly.
Bounds combine as intervals do: the low bound of a sum is the sum of the low bounds, and so on. Nothing
is taken to be independent, so errors never cancel: costs of one machine tend to be off together. What
is typical combines like plain numbers. This is interval arithmetic (Moore, "Interval Analysis", 1966)
with a best guess carried along; there are no distributions here.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass


class Unit(enum.Enum):
    """What an Estimate is counted in."""

    NS = "ns"
    BYTES_PER_S = "bytes/s"


# What people read, largest first: factor to the unit, and name.
_SCALES: dict[Unit, tuple[tuple[float, str], ...]] = {
    Unit.NS: ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")),
    Unit.BYTES_PER_S: ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
}
_FINEST_PLACE = -3  # of a ns or byte/s: nothing here is measured finer
_MOST_DIGITS = 3  # of a number that claims no uncertainty: no figure of this package deserves more


@dataclass(frozen=True, slots=True)
class Estimate:
    """An uncertain, non-negative quantity. Raises ValueError unless 0 <= low <= typical <= high."""

    low: float
    typical: float
    high: float
    unit: Unit = Unit.NS

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.typical <= self.high < math.inf:
            raise ValueError(
                f"low {self.low}, typical {self.typical}, high {self.high}: accepted are finite "
                "numbers with 0 <= low <= typical <= high"
            )

    def __add__(self, other: Estimate) -> Estimate:
        _same_unit(self, other)
        return Estimate(
            self.low + other.low,
            self.typical + other.typical,
            self.high + other.high,
            self.unit,
        )

    def __mul__(self, times: float) -> Estimate:
        """Scale by an exact number, such as a count of operations."""
        return Estimate(self.low * times, self.typical * times, self.high * times, self.unit)

    __rmul__ = __mul__

    def __truediv__(self, parts: float) -> Estimate:
        return self * (1 / parts)

    def contains(self, value: float) -> bool:
        """Say whether a value of the same unit lies between the bounds, which count as inside."""
        return self.low <= value <= self.high

    def deserved(self) -> Estimate:
        """Return it without digits that its uncertainty makes worthless; bounds go outwards.

        The typical value keeps the decimal place of the leading digit of its distance to the farther
        bound, and one place more if that digit is a 1 (as the Particle Data Group rounds). Every
        number keeps its own leading digit, and the next one if that is a 1.
        """
        place = _place(self)
        typical = _rounded(self.typical, min(place, _coarsest(self.typical)))
        low = _outwards(self.low, place, math.floor)
        high = _outwards(self.high, place, math.ceil)
        return Estimate(min(low, typical), typical, max(high, typical), self.unit)

    def __str__(self) -> str:
        """Return it for people: `104 s (100 to 108)`."""
        shown = self.deserved()
        scale, name = next(
            (s for s in _SCALES[self.unit] if shown.typical >= s[0]), _SCALES[self.unit][-1]
        )
        low, typical, high = (_plain(v / scale) for v in (shown.low, shown.typical, shown.high))
        return f"{typical} {name}" + (f" ({low} to {high})" if low != high else "")


def total(estimates: Iterable[Estimate], unit: Unit = Unit.NS) -> Estimate:
    """Return the sum; of nothing, zero."""
    result = Estimate(0, 0, 0, unit)
    for estimate in estimates:
        result = result + estimate
    return result


def largest(first: Estimate, second: Estimate) -> Estimate:
    """Return the bounds and the typical value of the larger of two quantities."""
    _same_unit(first, second)
    return Estimate(
        max(first.low, second.low),
        max(first.typical, second.typical),
        max(first.high, second.high),
        first.unit,
    )


def duration(size_bytes: int, rate: Estimate) -> Estimate:
    """Return how long `size_bytes` take at a rate: in ns; the highest rate gives the low bound."""
    if rate.unit is not Unit.BYTES_PER_S or rate.low <= 0:
        raise ValueError(f"a rate of {rate.low} {rate.unit.value}: accepted is more than 0 bytes/s")
    ns = size_bytes * 1e9
    return Estimate(ns / rate.high, ns / rate.typical, ns / rate.low)


def _same_unit(first: Estimate, second: Estimate) -> None:
    if first.unit is not second.unit:
        raise ValueError(f"{first.unit.value} and {second.unit.value} do not combine")


def _decade(value: float) -> int:
    """Return the decimal place of the leading digit: 0 for 5, 2 for 123, -1 for 0.4."""
    return max(math.floor(math.log10(value)), _FINEST_PLACE) if value > 0 else 0


def _place(estimate: Estimate) -> int:
    """Return the decimal place that the typical value is good for."""
    finest = _decade(estimate.typical) - _MOST_DIGITS + 1
    spread = max(estimate.typical - estimate.low, estimate.high - estimate.typical)
    if spread == 0:
        return finest
    return max(_coarsest(spread), finest)


def _coarsest(value: float) -> int:
    """Return the decimal place of the leading digit, or of the next one if that is a 1."""
    place = _decade(value)
    return place - (value < 2 * 10.0**place)


def _rounded(value: float, place: int) -> float:
    return math.floor(value / 10.0**place + 0.5) * 10.0**place


def _outwards(value: float, place: int, direction: Callable[[float], int]) -> float:
    step = 10.0 ** min(place, _coarsest(value))
    return direction(round(value / step, 9)) * step


def _plain(value: float) -> str:
    """Return a number of few digits without an exponent and without float noise."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return text or "0"
