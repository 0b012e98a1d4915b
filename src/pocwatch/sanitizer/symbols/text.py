"""`/proc/kallsyms` text and System.map: `ADDRESS TYPE NAME [MODULE]` a line."""

from __future__ import annotations

from pocwatch.sanitizer.symbols.table import Symbol, SymbolError, SymbolTable

_CODE = frozenset("tTwW")


def _fields(line: str) -> tuple[int, str, str] | None:
    words = line.split()
    if len(words) not in (3, 4) or len(words[1]) != 1 or len(words[0]) not in (8, 16):
        return None
    try:
        return int(words[0], 16), words[1], " ".join(words[2:])
    except ValueError:
        return None


def is_symbol_text(head: bytes) -> bool:
    """Say whether a file that starts with `head` looks like kallsyms text."""
    try:
        first = head.split(b"\n", 1)[0].decode("ascii")
    except UnicodeDecodeError:
        return False
    return _fields(first) is not None


def parse(source: str, data: bytes) -> SymbolTable:
    """Read kallsyms text. Raise SymbolError naming the first malformed line."""
    symbols: list[Symbol] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        fields = _fields(line)
        if fields is None:
            raise SymbolError(
                f"{source}:{number}: {line.strip()[:60]!r} is not `ADDRESS TYPE NAME [MODULE]`"
            )
        address, kind, name = fields
        if kind not in "UaA":  # undefined and absolute values are no addresses
            symbols.append(Symbol(address, name, kind in _CODE))
    if symbols and not any(symbol.address for symbol in symbols):
        raise SymbolError(
            f"{source}: every address is 0, as an unprivileged reader sees them; "
            "read /proc/kallsyms as root with kernel.kptr_restrict=0"
        )
    base = next((s.address for s in symbols if s.name == "_text"), None)
    return SymbolTable.of(source, symbols, base)
