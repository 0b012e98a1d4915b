"""What a finding is known by from run to run: functions, never addresses.

A fingerprint stays the same when a kernel is linked elsewhere, loaded elsewhere (KASLR), or when
lines move within a function; it changes when the access, the write or the maintenance that was not
enough moves to another function. Baselines and SARIF's `partialFingerprints` are made of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pocwatch.sanitizer.findings import Event, Finding, Maintenance
from pocwatch.trace.records import Flag

_PAGE = 4096


def fingerprint(finding: Finding) -> str:
    """Return 32 hex digits."""
    return hashlib.sha256("\n".join(parts(finding)).encode("utf-8", "replace")).hexdigest()[:32]


def parts(finding: Finding) -> tuple[str, ...]:
    """Return what a finding is told apart by: kind, world, access, writer, lost maintenance."""
    access, lost = finding.access, lost_maintenance(finding)
    return (
        finding.kind,
        "guest" if access.vm else "host",
        function(access.symbol) or f"{access.insn:#010x} at page offset {access.pc % _PAGE:#x}",
        _place(finding.writer),
        _place(lost.event if lost else None),
    )


def function(symbol: str | None) -> str | None:
    """Return a symbol without its offset and without what compilers append (`.isra.0`, `.cold`)."""
    if symbol is None:
        return None
    name = symbol.split("+")[0]
    return name.split(".")[0] or name


def lost_maintenance(finding: Finding) -> Maintenance | None:
    """Return the maintenance after the write that should have helped: the one a rule took, or the last.

    What came before the write is left out: how much of it is remembered differs between runs. For a
    lost write it counts, since there the line had to be cleaned before.
    """
    writer = None if finding.kind == "lost-write" else finding.writer
    since = writer.seq if writer else 0
    later = [entry for entry in finding.maintenance if entry.event.seq > since]
    taken = [entry for entry in later if entry.event.flags & (Flag.DROPPED | Flag.WEAKENED)]
    return (taken or later)[-1] if later else None


def _place(event: Event | None) -> str:
    if event is None:
        return "none"
    place = function(event.symbol) or f"page offset {event.pc % _PAGE:#x}"
    return f"{event.op.spelling} in {place}"


def numbered(findings: Sequence[Finding]) -> list[str]:
    """Return the fingerprints with `:1`, `:2` ... behind, which tells those of one function apart."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for each in findings:
        name = fingerprint(each)
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name}:{seen[name]}")
    return names
