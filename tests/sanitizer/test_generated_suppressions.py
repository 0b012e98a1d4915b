"""Suppressions made from findings: loaded again they take out these and no others."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import raw_records as raw
from hypothesis import given, settings
from hypothesis import strategies as st

from pocwatch.arch.ops import Op
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Event, Finding
from pocwatch.sanitizer.locate import Locator
from pocwatch.sanitizer.suppressions import parse
from pocwatch.sanitizer.suppressions.apply import sort_out
from pocwatch.sanitizer.suppressions.generate import generate
from pocwatch.trace.records import FindingKind, Flag

PLAIN = Analyst(Locator([]), ["rule"], raw.PLATFORM, raw.describe).finding(
    raw.finding(FindingKind.STALE_READ)
)
SYMBOLS = st.sampled_from([None, "f", "f+0x4", "f+0x40", "g[0]+0x4", "g*", 'q"\\\x7f+0x8', "f+0x0x"])


def changed(kind: str, symbol: str | None, pc: int, guest: bool, writer: str | None) -> Finding:
    flags = Flag.VM if guest else Flag(0)
    assert PLAIN.writer is not None
    return replace(
        PLAIN,
        kind=kind,
        access=replace(PLAIN.access, symbol=symbol, pc=pc, flags=flags),
        writer=replace(PLAIN.writer, symbol=writer),
    )


FINDINGS = st.builds(
    changed,
    st.sampled_from(["stale-read", "stale-fetch"]),
    SYMBOLS,
    st.sampled_from([0x1000, 0x10000]),
    st.booleans(),
    SYMBOLS,
)


def place(finding: Finding) -> object:
    """What the entries promise to tell apart."""
    access, writer = finding.access, finding.writer
    at = access.symbol or access.pc
    return finding.kind, at, access.vm, access.insn, writer.symbol if writer else None


@settings(max_examples=200, deadline=None)
@given(st.lists(FINDINGS, max_size=4), st.lists(FINDINGS, max_size=4))
def test_exactly_these_are_suppressed(found: list[Finding], others: list[Finding]) -> None:
    entries = parse(generate(found), "generated")
    kept, suppressed = sort_out([*found, *others], entries)
    places = set(map(place, found))
    assert kept == [each for each in others if place(each) not in places]
    assert len(entries) == len(places), "one entry for each, none twice"
    assert len(suppressed) == len(places)


def test_an_entry_says_what_it_is_of_and_asks_for_a_reason() -> None:
    found = changed("stale-read", "f+0x4", 0x1000, False, "memcpy+0x8")
    written = generate([found])
    assert "# stale-read in f+0x4 (host, MMU off)" in written
    assert "#   written by memcpy+0x8" in written
    assert f"#   {found.rule}" in written
    (entry,) = tomllib.loads(written)["suppress"]
    assert entry["reason"].startswith("TODO")
    assert entry["instruction"] == "0xd503201f"


def test_what_a_rule_provoked_has_no_entry() -> None:
    taken: Event = replace(
        PLAIN.history[0] if PLAIN.history else PLAIN.writer,  # type: ignore[type-var]
        op=Op.DC_CIVAC,
        seq=99,
        flags=Flag.DROPPED,
    )
    written = generate([PLAIN, replace(PLAIN, kind="stale-walk", history=(taken,))])
    assert [entry.kind for entry in parse(written, "g")] == ["stale-read"]
    assert "Left out: 1 that a --drop or --weaken rule provoked" in written


def test_nothing_found_is_a_file_that_loads() -> None:
    assert parse(generate([]), "g") == []
