"""A finding is known again when code moves, and told apart when functions change."""

from __future__ import annotations

from dataclasses import replace

import any_report
import pytest
import reports
from hypothesis import given, settings
from hypothesis import strategies as st

from pocwatch.report.fingerprint import fingerprint, function, lost_maintenance, numbered, parts
from pocwatch.sanitizer.findings import Event, Finding, Maintenance
from pocwatch.trace.records import Flag

FETCH, READ = reports.findings()


def moved(finding: Finding, by: int) -> Finding:
    """The same finding in a run whose code and data lie elsewhere (KASLR: whole pages)."""

    def event(each: Event) -> Event:
        return replace(each, pc=each.pc + by, pc_pa=None, pc_ipa=by)

    return replace(
        finding,
        count=finding.count + 1,
        instructions=by,
        access=replace(finding.access, pc=finding.access.pc + by, va=by, pa=by, ipa=by),
        writer=None if finding.writer is None else event(finding.writer),
        maintenance=tuple(
            Maintenance(event(m.event), m.why_not_enough) for m in finding.maintenance
        ),
        history=(),
    )


@settings(max_examples=60, deadline=None)
@given(any_report.FINDING, st.integers(0, 1 << 30))
def test_loaded_elsewhere_it_is_the_same(finding: Finding, pages: int) -> None:
    assert fingerprint(moved(finding, pages * 4096)) == fingerprint(finding)


def test_linked_elsewhere_it_is_the_same() -> None:
    """Addresses have nothing in common, offsets in functions neither; the names are what counts."""
    later = moved(READ, 0x1238)
    assert later.writer is not None
    later = replace(
        later,
        access=replace(later.access, symbol="primary_entry+0x40"),
        writer=replace(later.writer, symbol="__arch_copy_to_user.constprop.0+0x4"),
    )
    assert fingerprint(later) == fingerprint(READ)


def test_what_a_finding_is_told_apart_by() -> None:
    assert parts(READ) == (
        "stale-read",
        "guest",
        "primary_entry",
        "st in __arch_copy_to_user",
        "dc civac in dcache_clean_inval_poc",
    )
    assert READ.writer is not None
    others = [
        FETCH,
        replace(READ, access=replace(READ.access, symbol="secondary_entry")),
        replace(READ, access=replace(READ.access, flags=Flag(0))),
        replace(READ, writer=replace(READ.writer, symbol="memcpy")),
        replace(READ, writer=None),
        replace(READ, maintenance=()),
    ]
    assert len({fingerprint(each) for each in (READ, *others)}) == 7


def test_maintenance_before_the_write_is_not_the_lost_one() -> None:
    before, dropped = READ.maintenance
    assert READ.writer is not None
    assert (before.event.seq, dropped.event.seq) == (2, 7)
    assert lost_maintenance(READ) == dropped
    later = replace(before, event=replace(before.event, seq=9))
    assert lost_maintenance(replace(READ, maintenance=(dropped, later))) == dropped, "the rule's"
    assert lost_maintenance(replace(READ, maintenance=(before,))) is None
    lost = reports.lost_write()
    found = lost_maintenance(lost)
    assert found is not None
    assert Flag.WEAKENED in found.event.flags


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("memcpy+0x1c", "memcpy"),
        ("f.isra.0+0x4", "f"),
        ("f.part.0.cold", "f"),
        (".Lend+0x8", ".Lend"),
        (None, None),
    ],
)
def test_function(symbol: str | None, name: str | None) -> None:
    assert function(symbol) == name


def test_places_of_one_function_are_numbered() -> None:
    again = replace(READ, access=replace(READ.access, symbol="primary_entry+0x8"))
    first, second, third = numbered([READ, FETCH, again])
    assert first == f"{fingerprint(READ)}:1"
    assert second == f"{fingerprint(FETCH)}:1"
    assert third == f"{fingerprint(READ)}:2"
