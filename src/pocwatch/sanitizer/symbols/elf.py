"""ELF files: functions, and labels in executable sections (assembly has no function type)."""

from __future__ import annotations

import bisect
import io

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pocwatch.sanitizer.symbols.table import Symbol, SymbolError, SymbolTable

_EM_AARCH64 = "EM_AARCH64"
_SHF_EXECINSTR = 0x4


def parse(source: str, data: bytes) -> SymbolTable:
    """Read the symbols of an AArch64 ELF file. Raise SymbolError when it is damaged or has none."""
    try:
        return _parse(source, data)
    except (ELFError, UnicodeDecodeError, IndexError, KeyError, OverflowError) as error:
        raise SymbolError(f"{source}: damaged ELF file ({error})") from None


def _parse(source: str, data: bytes) -> SymbolTable:
    elf = ELFFile(io.BytesIO(data))
    machine = elf["e_machine"]
    if machine != _EM_AARCH64:
        raise SymbolError(f"{source}: an ELF file for {machine}; symbols must be for {_EM_AARCH64}")
    executable = {  # section -> address of its end
        index: section["sh_addr"] + section["sh_size"]
        for index, section in enumerate(elf.iter_sections())
        if section["sh_flags"] & _SHF_EXECINSTR
    }
    symbols: list[Symbol] = []
    labels: list[tuple[int, str, int]] = []  # assembly labels have no size: name, end of section
    base = None
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for entry in section.iter_symbols():
            kind, where = entry["st_info"]["type"], entry["st_shndx"]
            if kind not in ("STT_FUNC", "STT_NOTYPE", "STT_OBJECT") or where == "SHN_UNDEF":
                continue
            if not entry.name or entry.name.startswith(("$x", "$d")):  # mapping symbols
                continue
            if entry.name == "_text":
                base = entry["st_value"]
            if where not in executable:
                continue
            if entry["st_size"]:
                code = kind != "STT_OBJECT"
                symbols.append(Symbol(entry["st_value"], entry.name, code, entry["st_size"]))
            else:
                labels.append((entry["st_value"], entry.name, executable[where]))
    starts = sorted({s.address for s in symbols} | {address for address, _, _ in labels})
    for address, name, end in labels:
        following = bisect.bisect_right(starts, address)
        limit = min(end, starts[following]) if following < len(starts) else end
        if address < limit:
            symbols.append(Symbol(address, name, True, limit - address))
    if not symbols:
        raise SymbolError(f"{source}: the ELF file has no symbol table (stripped?)")
    return SymbolTable.of(source, symbols, base)
