"""Sizes as people write them: 4K, 2M, 1T; ranges 64M..1T and lists 1G,4G."""

from __future__ import annotations

import re

from pocwatch.cost.start.errors import BenchError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
LARGEST = 1 << 48  # a 48-bit IPA space


def parse(text: str, what: str) -> int:
    """Return bytes. Raises BenchError: a size is a whole number above 0 with K, M, G or T (1024s)."""
    match = _SIZE.fullmatch(text.strip())
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if not 0 < size <= LARGEST:
        raise BenchError(
            f"{what} is {text!r}: accepted are whole numbers above 0, with K, M, G or T behind them, "
            f"up to {show(LARGEST)}"
        )
    return size


def parse_many(text: str, what: str) -> list[int]:
    """Return bytes, ascending, each once: of a list, of ranges (FIRST..LAST, doubling), or both."""
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        low = parse(first, what)
        if not dots:
            found.add(low)
            continue
        high = parse(last, what)
        if low > high:
            raise BenchError(f"{what} is {part!r}: accepted are ranges that go up, as in 64M..1T")
        while low < high:
            found.add(low)
            low *= 2
        found.add(high)
    return sorted(found)


def show(size_bytes: int) -> str:
    """Return the shortest exact spelling: 64M, 1536M, 100."""
    for unit in ("T", "G", "M", "K"):
        if size_bytes and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)
