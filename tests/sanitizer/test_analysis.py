"""Why maintenance was not enough, and the rule that was broken."""

from __future__ import annotations

import pytest
import raw_records as raw

from pocwatch.arch.ops import Kind, Op
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.locate import Locator
from pocwatch.trace.records import Access, Event, FindingKind, Flag, Why

DROP = "dc civac@dcache_clean_inval_poc"


def analysed(
    *history: Event,
    access: Access | None = None,
    writer: Event | None = None,
    kind: FindingKind = FindingKind.STALE_READ,
    **fields: int,
) -> Finding:
    access = access or raw.guest_access(Op.LD, Kind.DEV)
    found = raw.finding(kind, access, writer, history, **fields)
    return Analyst(Locator([]), [DROP], raw.PLATFORM, raw.describe).finding(found)


def reason(event: Event, *others: Event, **more: object) -> str:
    found = analysed(event, *others, **more)  # type: ignore[arg-type]
    return found.maintenance[0].why_not_enough


def test_addresses_and_circumstances() -> None:
    found = analysed()
    assert (found.kind, found.count, found.access.vm, found.access.mmu) == (
        "stale-read",
        3,
        True,
        "off",
    )
    assert found.access.why == Why.S1_OFF | Why.S2_ON
    assert found.writer is not None
    assert (found.writer.agent, found.writer.pc_ipa) == ("P0", None)
    assert found.line.pa == raw.GUEST_CODE_PA
    assert found.repair == ("dc civac before the ld dev", "dsb")


def test_a_fetch_is_named_by_the_instruction_fetched_not_the_first_of_its_run() -> None:
    va = raw.GUEST_PC + 8
    fetch = raw.guest_access(Op.IF, Kind.NC, va=va, ipa=va, pa=raw.GUEST_CODE_PA + 8)
    access = analysed(access=fetch, kind=FindingKind.STALE_FETCH).access
    assert (access.pc, access.pc_pa, access.pc_ipa) == (va, raw.GUEST_CODE_PA + 8, va)


def test_unknown_writer() -> None:
    assert analysed(writer=Event()).writer is None


def test_dropped_names_the_rule() -> None:
    text = reason(raw.event(7, Op.DC_CIVAC, flags=Flag.DROPPED, rule=0))
    assert text == f"dropped by rule {DROP!r}: the machine forgot it"


def test_weakened_says_what_it_became() -> None:
    text = reason(raw.event(7, Op.DC_CVAU, flags=Flag.WEAKENED, rule=0), raw.event(8, Op.DSB))
    assert text.startswith(
        f"weakened by rule {DROP!r} to dc cvau; cleans to the Point of Unification"
    )


@pytest.mark.parametrize(
    ("op", "more", "says"),
    [
        (Op.DC_CIVAC, {"seq": 3}, "came before the write"),
        (Op.DC_CIVAC, {"cells": 0b10}, "range did not cover"),
        (Op.DC_CISW, {}, "by set/way: it works on the caches of P0 only"),
        (Op.DC_CVAU, {}, "Point of Unification only"),
        (Op.DC_IVAC, {}, "invalidates without cleaning"),
        (Op.IC_IVAU, {}, "instruction caches only"),
        (Op.DC_CVAC, {}, "no DSB by P0"),
        (Op.DC_CVAC, {"pe": 2}, "no DSB by P2"),
    ],
)
def test_reasons(op: Op, more: dict[str, int], says: str) -> None:
    given = {"seq": 7} | more
    assert says in reason(raw.event(op=op, **given))


def test_a_dsb_of_another_pe_does_not_complete() -> None:
    assert "no DSB by P0" in reason(raw.event(7, Op.DC_CIVAC), raw.event(8, Op.DSB, pe=1))
    assert "no DSB" not in reason(raw.event(7, Op.DC_CIVAC), raw.event(8, Op.DSB))


def test_what_only_lacks_a_dsb_needs_just_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "describe", lambda *_: raw.Explained([], ["coherent"]))
    assert analysed(raw.event(7, Op.DC_CIVAC)).repair == ("dsb",)
    assert analysed(raw.event(7, Op.DC_CIVAC), raw.event(8, Op.DSB)).repair == ()
    assert analysed(raw.event(3, Op.DC_CIVAC)).repair == ()
    assert analysed(raw.event(7, Op.DC_CIVAC, flags=Flag.DROPPED, rule=0)).repair == ()


def test_data_that_may_be_gone_needs_something_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any kind of finding: what one VM may read of another's, too."""
    monkeypatch.setattr(raw, "describe", lambda *_: raw.Explained([], ["lost"], lost=True))
    found = analysed(kind=FindingKind.LEAK, writer=raw.event(5, Op.ST, Kind.NC))
    assert found.repair == ("before the non-cacheable write: dc civac", "dsb")


def test_clean_leaves_an_old_copy_for_a_cached_reader() -> None:
    text = reason(
        raw.event(7, Op.DC_CVAC),
        access=raw.guest_access(Op.LD, Kind.WB, flags=Flag.MMU_ON | Flag.VM),
        writer=raw.event(5, Op.ST, Kind.NC),
    )
    assert "does not invalidate" in text


def test_an_instruction_invalidate_does_not_help_while_memory_is_stale() -> None:
    text = reason(
        raw.event(7, Op.IC_IVAU),
        raw.event(8, Op.DSB),
        access=raw.guest_access(Op.IF, Kind.NC),
        kind=FindingKind.STALE_FETCH,
    )
    assert "refill from the Point of Coherency: memory must be cleaned first" in text


def test_local_instruction_invalidate() -> None:
    text = reason(
        raw.event(7, Op.IC_IALLU, pe=1),
        access=raw.guest_access(Op.IF, Kind.WB),
        kind=FindingKind.STALE_FETCH,
    )
    assert "of P1 only; P0 fetched" in text


@pytest.mark.parametrize(
    ("kind", "access", "writer", "says"),
    [
        (
            FindingKind.STALE_READ,
            raw.guest_access(Op.LD, Kind.NC),
            None,
            "cleaned to the Point of Coh",
        ),
        (FindingKind.STALE_WALK, raw.guest_access(Op.TW, Kind.NC), None, "translation table walk"),
        (
            FindingKind.STALE_READ,
            raw.guest_access(Op.LD, Kind.WB),
            raw.event(5, Op.ST, Kind.NC),
            "needs the location invalidated",
        ),
        (FindingKind.STALE_FETCH, raw.guest_access(Op.IF, Kind.WB), None, "IC IVAU"),
        (FindingKind.UNSYNCED_FETCH, raw.guest_access(Op.IF, Kind.WB), None, "context synchron"),
        (FindingKind.LOST_WRITE, raw.guest_access(Op.LD, Kind.WB), None, "not cleaned"),
    ],
)
def test_rule(kind: FindingKind, access: Access, writer: Event | None, says: str) -> None:
    rule = analysed(kind=kind, access=access, writer=writer).rule
    assert rule.startswith("Arm ARM DDI 0487")
    assert says in rule
