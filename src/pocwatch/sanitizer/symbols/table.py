"""A sorted symbol table and look-ups in it."""

from __future__ import annotations

import bisect
import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# A name further than this from its symbol says nothing: the gap is not code of that symbol.
_MAX_DISTANCE = 1 << 20


class SymbolError(ValueError):
    """A file that holds no symbols for us; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name for an address; size 0 when its source does not tell."""

    address: int
    name: str
    code: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Half-open range of addresses."""

    low: int
    high: int

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.low <= address < self.high


def _rank(symbol: Symbol) -> tuple[bool, bool, int, str]:
    """Order the names of one address: what a person would call it comes first."""
    name = symbol.name
    marker = name in ("_text", "_stext", "_head", "_etext", "_end") or name.startswith("__pi_")
    return (not symbol.code, marker, len(name) - len(name.lstrip("_")), name)


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """Symbols of one program, by address.

    `image` holds the bytes that lie from `base` on (an arm64 kernel image); `base` is None when the
    source does not say where its program starts.
    """

    source: str
    symbols: Sequence[Symbol]
    base: int | None = None
    image: bytes = b""
    _addresses: Sequence[int] = field(default=(), repr=False)
    _by_name: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, source: str, symbols: Iterable[Symbol], base: int | None = None, image: bytes = b""
    ) -> SymbolTable:
        """Sort symbols into a table. Raise SymbolError when there are none."""
        ordered = sorted(symbols, key=lambda symbol: (symbol.address, _rank(symbol)))
        if not ordered:
            raise SymbolError(f"{source}: it has no symbols")
        by_name: dict[str, list[int]] = {}
        for position, symbol in enumerate(ordered):
            by_name.setdefault(symbol.name, []).append(position)
        return cls(source, ordered, base, image, [s.address for s in ordered], by_name)

    def find(self, address: int) -> tuple[Symbol, int] | None:
        """Return the symbol that `address` belongs to and the offset in it."""
        end = bisect.bisect_right(self._addresses, address)
        if end == 0:
            return None
        first = bisect.bisect_left(self._addresses, self._addresses[end - 1])
        symbol = self.symbols[first]
        offset = address - symbol.address
        limit = max((s.size for s in self.symbols[first:end]), default=0)
        if end == len(self._addresses) and not limit:
            return None  # beyond the last symbol, usually `_end`
        if offset >= (limit or _MAX_DISTANCE):
            return None
        return symbol, offset

    def lookup(self, address: int) -> str | None:
        """Return `name+0xoffset` (`name` at its start), None when no symbol covers it."""
        found = self.find(address)
        if found is None:
            return None
        symbol, offset = found
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def ranges(self, pattern: str) -> list[Range]:
        """Return the addresses of every code symbol whose name matches; `pattern` may be a glob."""
        if any(character in pattern for character in "*?["):
            names = fnmatch.filter(self._by_name, pattern)
        else:
            names = [pattern] if pattern in self._by_name else []
        found = {
            Range(self.symbols[at].address, self._end(at))
            for name in names
            for at in self._by_name[name]
            if self.symbols[at].code
        }
        return sorted(found, key=lambda r: r.low)

    def _end(self, position: int) -> int:
        symbol = self.symbols[position]
        if symbol.size:
            return symbol.address + symbol.size
        following = bisect.bisect_right(self._addresses, symbol.address)
        if following == len(self._addresses):
            return symbol.address + 4
        return self._addresses[following]

    def similar(self, name: str) -> list[str]:
        """Return up to three names that `name` may be a misspelling of."""
        containing = sorted((n for n in self._by_name if name in n), key=len)[:3]
        return containing or difflib.get_close_matches(name, self._by_name, 3, 0.75)

    def address_of(self, name: str) -> int | None:
        """Return the address of the first symbol called `name`."""
        at = self._by_name.get(name)
        return self.symbols[at[0]].address if at else None
