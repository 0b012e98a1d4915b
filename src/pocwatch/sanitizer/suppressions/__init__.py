"""Findings that somebody analysed and accepted: counted in every report, never silent.

A suppression file is TOML: tables `[[suppress]]` with `name` and `reason` (both needed) and any of
`kind`, `pc_symbol`, `pc`, `world`, `instruction`, `writer_symbol`, shell patterns that must all
match. Symbols are matched with and without their offset, so `__set_fixmap`, `__set_fixmap+0x4` and
`__set_fixmap+0x0` (the first instruction) all work; `""` is code without a symbol, or no writer. The
instruction is the one that reads, or is fetched, spelled `0xaa1e03e9`; the world `host` or `guest`.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.findings import Finding

_PATTERNS = ("kind", "pc_symbol", "pc", "world", "instruction", "writer_symbol")
_KEYS = ("name", "reason", *_PATTERNS)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One accepted finding; "*" matches anything, also no symbol."""

    name: str
    reason: str
    kind: str = "*"
    pc_symbol: str = "*"
    pc: str = "*"
    world: str = "*"
    instruction: str = "*"
    writer_symbol: str = "*"

    def matches(self, finding: Finding) -> bool:
        """Say whether this finding is the accepted one."""
        writer = finding.writer.symbol if finding.writer else None
        return (
            fnmatch.fnmatchcase(finding.kind, self.kind)
            and _symbol_matches(finding.access.symbol, self.pc_symbol)
            and fnmatch.fnmatchcase(f"{finding.access.pc:#x}", self.pc)
            and fnmatch.fnmatchcase("guest" if finding.access.vm else "host", self.world)
            and fnmatch.fnmatchcase(f"{finding.access.insn:#010x}", self.instruction)
            and _symbol_matches(writer, self.writer_symbol)
        )


def _symbol_matches(symbol: str | None, pattern: str) -> bool:
    if pattern == "*" or not symbol:
        return pattern in ("*", "")
    plain = symbol.split("+")[0]
    spellings = (symbol, plain) if "+" in symbol else (symbol, f"{symbol}+0x0")
    return any(fnmatch.fnmatchcase(spelling, pattern) for spelling in spellings)


def parse(text: str, source: str) -> list[Suppression]:
    """Read a suppression file's text. Raise UsageError naming what is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--suppressions {source}: is not TOML ({error})") from None
    entries = document.pop("suppress", [])
    if document or not isinstance(entries, list):
        other = ", ".join(document) or "suppress"
        raise UsageError(
            f"--suppressions {source}: {other!r} is not understood; it holds [[suppress]] tables"
        )
    return [_entry(entry, number, source) for number, entry in enumerate(entries, 1)]


def _entry(entry: object, number: int, source: str) -> Suppression:
    where = f"--suppressions {source}: [[suppress]] number {number}"
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where}: is not a table")
    for key, value in entry.items():
        if key not in _KEYS or not isinstance(value, str):
            raise UsageError(
                f"{where}: {key} = {value!r}; keys are {', '.join(_KEYS)}, all strings"
            )
    for key in ("name", "reason"):
        if not entry.get(key, "").strip():
            raise UsageError(
                f"{where}: has no {key}; an accepted finding needs a name and a reason"
            )
    if not any(key in entry for key in _PATTERNS):
        raise UsageError(f"{where}: would match everything; give {' or '.join(_PATTERNS)}")
    return Suppression(**entry)


def load(path: Path) -> list[Suppression]:
    """Read a suppression file."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"--suppressions {path}: cannot be read ({reason})") from None


def shipped() -> list[Suppression]:
    """Return the suppressions for Linux that come with the package."""
    file = resources.files(__package__) / "linux.toml"
    return parse(file.read_text(encoding="utf-8"), "linux.toml")
