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
        found = patterns(finding)
        if found not in seen:
            seen[found] = len(seen) + 1
            lines += [*entry(finding, f"{seen[found]}: {name(finding)}", _REASON), ""]
    if left_out:
        lines.append(
            f"# Left out: {left_out} that a --drop or --weaken rule provoked, "
            "which are never suppressed."
        )
    return "\n".join(lines).rstrip("\n") + "\n"


def name(finding: Finding) -> str:
    """Return what an entry for a finding is called."""
    return f"{finding.kind} in {finding.access.symbol or f'{finding.access.pc:#x}'}"


def patterns(finding: Finding) -> tuple[tuple[str, str], ...]:
    """Return the keys and patterns that match a finding, and others of the same code and writer."""
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


def entry(finding: Finding, title: str, reason: str) -> Iterator[str]:
    """Yield the lines of an entry, with what is to be known of the finding as comments."""
    access, writer = finding.access, finding.writer
    found = patterns(finding)
    yield _comment(f"{name(finding)} ({dict(found)['world']}, MMU {access.mmu})")
    if access.source:
        yield _comment(f"  at {access.source}")
    yield _comment(f"  written by {(writer.symbol or f'{writer.pc:#x}') if writer else 'nobody seen'}")
    yield _comment(f"  {finding.rule}")
    if finding.repair:
        yield _comment(f"  repair: {'; '.join(finding.repair)}")
    yield "[[suppress]]"
    yield f"name = {_toml(title)}"
    yield f"reason = {_toml(reason)}"
    for key, pattern in found:
        yield f"{key} = {_toml(pattern)}"


def _comment(text: str) -> str:
    return "# " + "".join(c if c.isprintable() else "?" for c in text)


def _toml(text: str) -> str:
    """Return a basic string: JSON's, and DEL escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
