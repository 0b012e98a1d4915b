"""Telling symbol files apart by their first bytes."""

from __future__ import annotations

from pathlib import Path

from pocwatch.sanitizer.symbols import elf, image, kallsyms, text
from pocwatch.sanitizer.symbols.table import SymbolError, SymbolTable


def load(path: Path | str) -> SymbolTable:
    """Read the symbols in a file of any known form. Raise SymbolError with a line for the user."""
    source = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SymbolError(f"{source}: cannot read this symbol file ({error.strerror})") from None
    if data[:4] == b"\x7fELF":
        return elf.parse(source, data)
    plain = image.unpack(source, data)
    if plain is not None:
        return kallsyms.parse(source, plain)
    if text.is_symbol_text(data[:4096]):
        return text.parse(source, data)
    raise SymbolError(
        f"{source}: is neither kallsyms text, ELF nor arm64 kernel image; "
        "--symbols takes one of these"
    )
