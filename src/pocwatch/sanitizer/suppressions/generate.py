"""Suppression entries for what a run found, to be read, given a reason, and kept.

Loaded again they take out exactly these findings: the same kind of access by the same instruction,
in host or guest, to data of the same writer.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence

from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.suppressions.apply import provoked

_REASON = "TODO: say why this is harmless, and who looked"
_HEAD = """\
# Suppressions written by `pocwatch --gen-suppressions`: one entry for each finding. Keep those that
# were analysed and are harmless, with the reason; give the file to --suppressions.
"""


def generate(findings: Sequence[Finding]) -> str:
    """Return the text of a suppression file; findings that none can suppress have no entry."""
    lines = [_HEAD]
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    left_out = 0
    for finding in findings:
        if provoked(finding):
            left_out += 1
            continue
        patterns = _patterns(finding)
        if patterns not in seen:
            seen[patterns] = len(seen) + 1
            lines += [*_entry(finding, patterns, seen[patterns]), ""]
    if left_out:
        lines.append(
            f"# Left out: {left_out} that a --drop or --weaken rule provoked, "
            "which are never suppressed."
        )
    return "\n".join(lines).rstrip("\n") + "\n"


def _patterns(finding: Finding) -> tuple[tuple[str, str], ...]:
    access, writer = finding.access, finding.writer
    place = [("pc_symbol", _exactly(access.symbol))]
    if not access.symbol:
        place.append(("pc", f"{access.pc:#x}"))
    return (
        ("kind", finding.kind),
        *place,
        ("world", "guest" if access.vm else "host"),
        ("instruction", f"{access.insn:#010x}"),
        ("writer_symbol", _exactly(writer.symbol if writer else None)),
    )


def _exactly(symbol: str | None) -> str:
    """Return the pattern that matches this symbol and offset only."""
    if not symbol:
        return ""
    return glob.escape(symbol if "+" in symbol else f"{symbol}+0x0")


def _entry(
    finding: Finding, patterns: tuple[tuple[str, str], ...], number: int
) -> Iterator[str]:
    access, writer = finding.access, finding.writer
    where = access.symbol or f"{access.pc:#x}"
    yield _comment(f"{finding.kind} in {where} ({dict(patterns)['world']}, MMU {access.mmu})")
    if access.source:
        yield _comment(f"  at {access.source}")
    yield _comment(f"  written by {(writer.symbol or f'{writer.pc:#x}') if writer else 'nobody seen'}")
    yield _comment(f"  {finding.rule}")
    if finding.repair:
        yield _comment(f"  repair: {'; '.join(finding.repair)}")
    yield "[[suppress]]"
    yield f"name = {_toml(f'{number}: {finding.kind} in {where}')}"
    yield f"reason = {_toml(_REASON)}"
    for key, pattern in patterns:
        yield f"{key} = {_toml(pattern)}"


def _comment(text: str) -> str:
    return "# " + "".join(c if c.isprintable() else "?" for c in text)


def _toml(text: str) -> str:
    """Return a basic string: JSON's, and DEL escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
