"""Names for a recording's instructions while the machine runs, and the symbols that it takes along.

A trace is read on another computer, without the kernel's symbol files. So it carries those symbols that
its instructions have, in tables that answer for them as the whole ones do; and where each program lay.
"""

from __future__ import annotations

import base64
import bisect
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocwatch.sanitizer.locate import Locator, Program, Where
from pocwatch.sanitizer.symbols import SymbolTable
from pocwatch.sanitizer.symbols.table import Symbol
from pocwatch.trace.encode import Place

_PAGE = 4096
_FETCHED = 64  # bytes of a line: an instruction of a trace stands for those fetched with it


class _CodePages(Mapping[int, bytes]):
    """Pages of guest RAM by PA, read from its file when asked for."""

    def __init__(self, ram: Path, base: int, size: int) -> None:
        self._ram, self._base, self._size = ram, base, size

    def __getitem__(self, pa: int) -> bytes:
        offset = pa - self._base
        if not 0 <= offset <= self._size - _PAGE:
            raise KeyError(pa)
        try:
            with self._ram.open("rb") as file:
                file.seek(offset)
                return file.read(_PAGE)
        except OSError:
            raise KeyError(pa) from None

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._base, self._base + self._size, _PAGE))

    def __len__(self) -> int:
        return self._size // _PAGE


class LiveNames:
    """`encode.Names` of a machine that runs: finds out where kernels lie as they come to run."""

    def __init__(self, programs: Sequence[Program], ram: Path, ram_base: int, ram_size: int) -> None:
        self._locator = Locator(programs, _CodePages(ram, ram_base, ram_size))
        self._places: list[Where] = []
        self._used: dict[Program, set[int]] = {}  # by the first `_looked` places, as of `_found`
        self._looked = 0
        self._found: object = None

    def symbols(self, places: Sequence[Place]) -> list[str | None]:
        """Return the symbols of instructions that are in RAM now."""
        where = [Where(place.pc, place.pc_pa, place.pc_ipa, place.vm) for place in places]
        self._locator.settle(
            [w for w, place in zip(where, places, strict=True) if place.el]  # kernels only
        )
        self._places += where
        return [self._locator.symbol(w) for w in where]

    def packed(self) -> str:
        """Return the programs with the symbols that were used, as text for `unpacked`."""
        if self._found != self._locator.found:
            self._found, self._looked = self._locator.found, 0
            self._used = {program: set() for program in self._locator.programs}
        for where in self._places[self._looked :]:
            for _, program, address in self._locator.known(where):
                self._used.setdefault(program, set()).add(address)
        self._looked = len(self._places)
        data = [_program(program, addresses) for program, addresses in self._used.items()]
        text = json.dumps(data, separators=(",", ":")).encode()
        return base64.b85encode(zlib.compress(text, 9)).decode()


def _program(program: Program, used: set[int]) -> dict[str, Any]:
    table = program.table
    return {
        "name": program.name,
        "load": program.load,
        "size": program.size or len(table.image),
        "source": table.source,
        "base": table.base,
        "image": bool(table.image),
        "symbols": [[s.address, s.name, s.code, s.size] for s in _kept(table, used)],
    }


def _kept(table: SymbolTable, used: set[int]) -> list[Symbol]:
    """Return the symbols from that of each address to the one after what is fetched with it, and the
    last of the table: a name goes on to the next, and the last stands for nothing."""
    addresses = [symbol.address for symbol in table.symbols]
    kept = {len(addresses) - 1}
    for address in used:
        end = bisect.bisect_right(addresses, address)
        first = bisect.bisect_left(addresses, addresses[end - 1]) if end else 0
        after = bisect.bisect_right(addresses, address + _FETCHED)
        last = bisect.bisect_right(addresses, addresses[after]) if after < len(addresses) else after
        kept.update(range(first, last))
    return [table.symbols[at] for at in sorted(kept)]


def unpacked(text: str) -> list[Program]:
    """Return the programs of `packed`."""
    programs = []
    for data in json.loads(zlib.decompress(base64.b85decode(text))):
        table = SymbolTable.of(
            data["source"],
            [Symbol(*values) for values in data["symbols"]],
            data["base"],
            bytes(1) if data["image"] else b"",
        )
        programs.append(Program(data["name"], table, data["load"], data["size"]))
    return programs
