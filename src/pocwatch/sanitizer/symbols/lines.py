"""Source lines of code addresses, from an ELF file's DWARF (`.debug_line`).

Made for a few hundred addresses of a file that may be a vmlinux of hundreds of megabytes: the line
programs of only those compilation units are decoded that an address is asked of. Which unit that is
is in `.debug_aranges` (gcc, gas), or else in the units' own ranges (clang).
"""

from __future__ import annotations

import bisect
import mmap
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elftools.dwarf.descriptions import describe_form_class
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of source; the file is relative to the directory of the build where it lies in it."""

    file: str
    line: int
    build: str = field(default="", compare=False)  # the directory of the build

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class _Row:
    """From `address` on, up to the next row, the code is of this line; None: of no line."""

    address: int
    source: SourceLine | None


class LineTable:
    """Answers which line an address is of; what is damaged answers nothing."""

    def __init__(self, elf: Any) -> None:
        """Take an ELF file with DWARF; its bytes are read when they are asked for."""
        self._dwarf: Any = elf.get_dwarf_info(follow_links=False)
        self._aranges: Any = self._dwarf.get_aranges()
        self._ranges: list[tuple[int, int, int]] | None = None  # low, high, unit
        self._rows: dict[int, list[_Row]] = {}  # by offset of the unit

    def find(self, address: int) -> SourceLine | None:
        """Return the line of a link address, None when nothing says it."""
        try:
            return self._find(address)
        except Exception:  # damaged DWARF trips assertions of pyelftools, too
            return None

    def _find(self, address: int) -> SourceLine | None:
        unit = self._unit(address)
        if unit is None:
            return None
        if unit not in self._rows:
            self._rows[unit] = _rows(self._dwarf, self._dwarf.get_CU_at(unit))
        rows = self._rows[unit]
        after = bisect.bisect_right(rows, address, key=lambda row: row.address)
        return rows[after - 1].source if after else None

    def _unit(self, address: int) -> int | None:
        offset = None if self._aranges is None else self._aranges.cu_offset_at_addr(address)
        if offset is not None:
            return int(offset)
        if self._ranges is None:
            self._ranges = sorted(_unit_ranges(self._dwarf))
        after = bisect.bisect_right(self._ranges, (address, 1 << 64, 0))
        low, high, unit = self._ranges[after - 1] if after else (0, 0, 0)
        return unit if low <= address < high else None


def _unit_ranges(dwarf: Any) -> Iterator[tuple[int, int, int]]:
    lists = dwarf.range_lists()
    for unit in dwarf.iter_CUs():
        top = unit.get_top_DIE()
        low = top.attributes.get("DW_AT_low_pc")
        high, listed = top.attributes.get("DW_AT_high_pc"), top.attributes.get("DW_AT_ranges")
        if listed is not None and lists is not None:
            base = low.value if low else 0
            for entry in lists.get_range_list_at_offset(listed.value, cu=unit):
                if isinstance(entry, BaseAddressEntry):
                    base = entry.base_address
                    continue
                start = 0 if getattr(entry, "is_absolute", False) else base
                yield start + entry.begin_offset, start + entry.end_offset, unit.cu_offset
        elif low is not None and high is not None:
            relative = describe_form_class(high.form) == "constant"
            end = high.value + (low.value if relative else 0)
            yield low.value, end, unit.cu_offset


def _rows(dwarf: Any, unit: Any) -> list[_Row]:
    """Return the line program's rows, by address; a sequence's end is a row of no line."""
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        return []
    directory = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    build = directory.value.decode() if directory else ""
    names: dict[int, str] = {}
    rows: list[_Row] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if state.end_sequence or not state.line:
            rows.append(_Row(state.address, None))
            continue
        if state.file not in names:
            names[state.file] = _file_name(program, state.file, build)
        rows.append(_Row(state.address, SourceLine(names[state.file], state.line, build)))
    # The end of one sequence may be the start of another: the line is the one that counts.
    return sorted(rows, key=lambda row: (row.address, row.source is not None))


def _file_name(program: Any, index: int, build: str) -> str:
    """Return a file's name, relative to the build's directory if it lies there."""
    five = program["version"] >= 5  # counts files and directories from 0, earlier ones from 1
    entry = program["file_entry"][index if five else index - 1]
    name = entry.name.decode()
    folder = ""
    if five or entry.dir_index:
        folder = program["include_directory"][entry.dir_index - (not five)].decode()
    path = posixpath.normpath(posixpath.join(build, folder, name))
    inside = build and path.startswith(build.rstrip("/") + "/")
    return posixpath.relpath(path, build) if inside else path


def load(path: Path | str) -> LineTable | None:
    """Return the line table of an ELF file, None for one without and for any other file."""
    try:
        with Path(path).open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
            mapped: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        elf = ELFFile(mapped)
        if any(elf.get_section_by_name(name) for name in (".debug_line", ".zdebug_line")):
            return LineTable(elf)
    except Exception:
        return None  # not there, or damaged: the symbols' own reader says so
    return None
