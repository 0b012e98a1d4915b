"""Names for code addresses: one class per source behind `load`.

Sources: `/proc/kallsyms` text and System.map, ELF files, and the table that an arm64 kernel
image carries of itself. Which table answers for which event is `sanitizer.locate`'s business.
"""

from __future__ import annotations

from pocwatch.sanitizer.symbols.load import load
from pocwatch.sanitizer.symbols.table import Range, Symbol, SymbolError, SymbolTable

__all__ = ["Range", "Symbol", "SymbolError", "SymbolTable", "load"]
