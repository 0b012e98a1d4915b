"""Names for a program's code, from what its processes had mapped and from JITs' perf maps.

A file's functions come from its ELF symbols (stripped programs still have those of their dynamic
linking); code that no symbol covers is named by its file, JIT code without a perf map `[anonymous]`. Two
processes that map different files at one address are not told apart: the first one names it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pocwatch.sanitizer.locate import Program
from pocwatch.sanitizer.symbols import SymbolError, SymbolTable
from pocwatch.sanitizer.symbols.load import load
from pocwatch.sanitizer.symbols.table import Symbol

_LINE = re.compile(
    r"(?P<low>[0-9a-f]+)-(?P<high>[0-9a-f]+) ..(?P<x>[x-])\S (?P<offset>[0-9a-f]+) \S+ \d+ *(?P<name>.*)"
)
_PAGE = 4096
_USER_SPACE_END = 1 << 48
_ANONYMOUS = "[anonymous]"  # also code whose mapping is gone when its process ends
_PERF_LINE = re.compile(r"(?:0x)?([0-9a-fA-F]+) (?:0x)?([0-9a-fA-F]+) (.+)")


@dataclass(frozen=True, slots=True)
class Mapping:
    """Code in a process's memory; `name` is a file, something in brackets, or empty."""

    low: int
    high: int
    offset: int
    name: str


def parse(text: str) -> list[Mapping]:
    """Return the executable mappings in the text of one or more `/proc/PID/maps`, each once."""
    found = (_LINE.match(line) for line in text.splitlines())
    return list(
        dict.fromkeys(
            Mapping(int(m["low"], 16), int(m["high"], 16), int(m["offset"], 16), m["name"])
            for m in found
            if m is not None and m["x"] == "x"
        )
    )


def perf_map(text: str) -> list[Symbol]:
    """Return what a perf map names, the latest where code was replaced; malformed lines are skipped.

    Linux tools/perf/Documentation/jit-interface.txt: `START SIZE symbolname`, in hex.
    """
    by_start: dict[int, Symbol] = {}
    for line in text.splitlines():
        match = _PERF_LINE.fullmatch(line.strip())
        if match is not None and int(match[2], 16):
            start = int(match[1], 16)
            by_start[start] = Symbol(start, match[3], True, int(match[2], 16))
    return list(by_start.values())


def bias(elf: bytes, mapping: Mapping) -> int | None:
    """Return how far a mapped ELF file lies from its link addresses; None if it is none."""
    try:
        segments = list(ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD"))
    except (ELFError, UnicodeDecodeError):
        return None
    for segment in segments:
        first = segment["p_offset"] & -0x1000
        if first <= mapping.offset < segment["p_offset"] + segment["p_filesz"]:
            offset: int = mapping.low - mapping.offset - segment["p_vaddr"] + segment["p_offset"]
            return offset
    return None


def programs(
    mappings: Sequence[Mapping],
    perf_maps: Iterable[str],
    find: Callable[[str], Path | None],
    wanted: Sequence[int] | None = None,
) -> list[Program]:
    """Return programs to look code up in, best names first.

    `find` gives the file on this computer of one in the machine; files with none of the `wanted` PCs
    are not read.
    """
    result = []
    jitted = [symbol for text in perf_maps for symbol in perf_map(text)]
    if jitted:
        result.append(Program("perf map", SymbolTable.of("perf map", jitted)))
    used = [m for m in mappings if wanted is None or any(_in([m], pc) for pc in wanted)]
    seen: set[tuple[str, int]] = set()
    for mapping in used:
        for program, slide in _of_file(mapping, find):
            if (mapping.name, slide) not in seen:
                seen.add((mapping.name, slide))
                result.append(program)
    named = [_whole(mapping) for mapping in used]
    gone = {pc & -_PAGE for pc in wanted or () if pc < _USER_SPACE_END and not _in(used, pc)}
    named += [Symbol(page, _ANONYMOUS, True, _PAGE) for page in gone]
    if named:
        result.append(Program("maps", SymbolTable.of("maps", named)))
    return result


def _in(mappings: Sequence[Mapping], pc: int) -> bool:
    return any(m.low <= pc < m.high for m in mappings)


def _of_file(mapping: Mapping, find: Callable[[str], Path | None]) -> Iterator[tuple[Program, int]]:
    path = find(mapping.name) if mapping.name.startswith("/") else None
    if path is None:
        return
    slide = bias(path.read_bytes(), mapping)
    if slide is None:
        return
    try:
        table = load(path)
    except SymbolError:
        return  # stripped of everything: the file's name must do
    moved = (replace(symbol, address=symbol.address + slide) for symbol in table.symbols)
    yield Program(f"user {mapping.name}", SymbolTable.of(table.source, moved)), slide


def _whole(mapping: Mapping) -> Symbol:
    name = mapping.name.removesuffix(" (deleted)")
    said = Path(name).name if name.startswith("/") else name or _ANONYMOUS
    return Symbol(mapping.low, said, True, mapping.high - mapping.low)
