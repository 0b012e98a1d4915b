"""Can names be read from the user's symbol files and kernel?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocwatch.doctor.record import Check, State
from pocwatch.sanitizer.locate import parse_option
from pocwatch.sanitizer.symbols import SymbolError, SymbolTable, load

_WHY = "reports of `pocwatch run`: names instead of addresses, and --drop FUNCTION"
_STUB_SYMBOLS = 10  # a kernel has tens of thousands; Debian's System.map has one line of prose


def checks(files: Sequence[str], kernel: Path | None) -> list[Check]:
    """Look at files as `run --symbols` and `-kernel` take them. Raise UsageError for bad syntax."""
    found = [_check("symbols", text, *parse_option(text)[1:]) for text in files]
    return [*found, *([_check("kernel", str(kernel), None, kernel)] if kernel else [])]


def _check(name: str, text: str, address: int | None, file: Path) -> Check:
    try:
        table = load(file)
    except SymbolError as error:
        return Check(name, State.MISSING, str(error), _WHY, _cure(file))
    found = f"{text}: {len(table.symbols):,} symbols, {_placed(table, address)}"
    if file.name.startswith("System.map") and len(table.symbols) < _STUB_SYMBOLS:
        stub = f"{text}: a stub of {len(table.symbols)} lines, as Debian ships it"
        return Check(name, State.MISSING, stub, _WHY, _cure(file))
    return Check(name, State.WORKS, found, _WHY)


def _placed(table: SymbolTable, address: int | None) -> str:
    """Say how they get to where the code ran."""
    if table.base is None:
        return "no _text: looked up by VA, as linked, so not under KASLR and not with the MMU off"
    if address is not None:
        return f"_text at {address:#x}: found by PA, also under KASLR and with the MMU off"
    return "with _text: found by PA, also under KASLR and with the MMU off, once its place is known"


def _cure(file: Path) -> str | None:
    """Return what to give instead, where that is known; else the message must do."""
    if file.name.startswith("System.map"):
        # The kernel image carries its own names.
        return f"pocwatch doctor --kernel /boot/vmlinuz{file.name.removeprefix('System.map')}"
    if file.name == "kallsyms":
        return "sudo sysctl kernel.kptr_restrict=0 && sudo cat /proc/kallsyms > kallsyms"
    return None

