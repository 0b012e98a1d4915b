"""Attributes: one test per rule, with the fact's id."""

from __future__ import annotations

import itertools

import pytest

from pocwatch.arch import attributes as at
from pocwatch.arch.attributes import (
    NORMAL_NC,
    NORMAL_WB_NSH,
    Cacheability,
    Device,
    Normal,
    Purpose,
    Shareability,
    Subtype,
)
from pocwatch.arch.ops import Kind

WB = Normal(Cacheability.WB, Cacheability.WB, Shareability.ISH)
WT = Normal(Cacheability.WT, Cacheability.WT, Shareability.ISH)
GRE = Device(Subtype.GRE)
NGNRE = Device(Subtype.NGNRE)


@pytest.mark.parametrize(
    ("byte", "kind"),
    [
        (0x00, Kind.DEV),
        (0x04, Kind.DEV),
        (0x0C, Kind.DEV),
        (0x0D, Kind.DEV),
        (0x40, Kind.NC),
        (0x44, Kind.NC),
        (0xA0, Kind.WT),
        (0xBB, Kind.WT),
        (0x33, Kind.WT),
        (0xF0, Kind.WB),
        (0xFF, Kind.WB),
        (0x77, Kind.WB),
        (0xF4, Kind.NC),
        (0x4F, Kind.NC),
        (0xFB, Kind.WT),
    ],
)
def test_c13_mair_byte(byte: int, kind: Kind) -> None:
    assert not at.mair_is_reserved(byte)
    assert at.cache_kind(at.decode_mair(byte, Shareability.ISH)) is kind


def test_c13_mair_device_subtypes() -> None:
    subtypes = [at.decode_mair(byte, Shareability.ISH) for byte in (0x00, 0x04, 0x08, 0x0C)]
    assert subtypes == [Device(s) for s in Subtype]


def test_c13_reserved_mair_bytes() -> None:
    assert [b for b in range(16) if at.mair_is_reserved(b)] == [2, 3, 6, 7, 10, 11, 14, 15]
    low_nibble_0 = [b for b in range(16, 256, 16) if not at.mair_is_reserved(b)]
    assert low_nibble_0 == [0x40, 0xA0, 0xF0]
    assert at.decode_mair(0x50, Shareability.ISH) == at.STRONGEST_DEVICE


def test_c13_non_cacheable_is_outer_shareable() -> None:
    assert at.decode_mair(0x44, Shareability.NSH) == NORMAL_NC
    assert at.walk_attributes(0, 0, 0b00) == NORMAL_NC


def test_c18_only_inner_and_outer_write_back_is_cached_for_writes() -> None:
    for inner, outer in itertools.product(Cacheability, repeat=2):
        kind = at.cache_kind(Normal(inner, outer, Shareability.ISH))
        assert (kind is Kind.WB) == (inner is outer is Cacheability.WB)
        assert (kind is Kind.NC) == (Cacheability.NC in (inner, outer))


def test_c12_walk_attributes() -> None:
    kinds = [at.cache_kind(at.walk_attributes(rgn, rgn, 0b11)) for rgn in range(4)]
    assert kinds == [Kind.NC, Kind.WB, Kind.WT, Kind.WB]


@pytest.mark.parametrize(
    ("purpose", "dc", "icache_on", "kind"),
    [
        (Purpose.DATA, False, True, Kind.DEV),
        (Purpose.FETCH, False, False, Kind.NC),
        (Purpose.FETCH, False, True, Kind.WT),
        (Purpose.DATA, True, False, Kind.WB),
        (Purpose.FETCH, True, False, Kind.WB),
    ],
)
def test_c12_stage_1_off(purpose: Purpose, dc: bool, icache_on: bool, kind: Kind) -> None:
    given = at.stage1_off(purpose, default_cacheable=dc, icache_on=icache_on)
    assert at.cache_kind(given) is kind
    if dc:
        assert given == NORMAL_WB_NSH


def test_c12_sctlr_c_and_i() -> None:
    def limited(page: at.Attributes, purpose: Purpose, c: bool, i: bool) -> at.Attributes:
        return at.stage1_limited(page, purpose, dcache_on=c, icache_on=i)

    assert limited(WB, Purpose.DATA, False, True) == NORMAL_NC
    assert limited(WB, Purpose.WALK, False, True) == NORMAL_NC
    assert limited(WB, Purpose.FETCH, False, True) == WB
    assert limited(WB, Purpose.FETCH, True, False) == NORMAL_NC
    assert limited(WB, Purpose.DATA, True, False) == WB
    assert limited(GRE, Purpose.DATA, False, False) == GRE
    assert limited(GRE, Purpose.FETCH, True, True) == NORMAL_NC


def test_c13_stage_2_without_fwb_takes_the_stricter() -> None:
    def combined(stage1: at.Attributes, mem_attr: int, sh: int = 0b11) -> at.Attributes:
        return at.combine_stages(stage1, mem_attr, sh, fwb=False)

    assert combined(WB, 0b1111) == WB
    assert combined(WB, 0b1010) == WT
    assert combined(WB, 0b0101) == NORMAL_NC
    assert at.cache_kind(combined(WB, 0b1101)) is Kind.NC
    assert combined(WT, 0b1111) == WT
    assert combined(NORMAL_NC, 0b1111) == NORMAL_NC
    assert combined(WB, 0b0001) == NGNRE
    assert combined(GRE, 0b0001) == NGNRE
    assert combined(NGNRE, 0b0011) == NGNRE
    assert combined(GRE, 0b1111) == GRE


def test_c13_shareability_of_both_stages_is_the_wider() -> None:
    for first, (sh, second) in itertools.product(
        Shareability,
        ((0b00, Shareability.NSH), (0b11, Shareability.ISH), (0b10, Shareability.OSH)),
    ):
        stage1 = Normal(Cacheability.WB, Cacheability.WB, first)
        for fwb, mem_attr in ((False, 0b1111), (True, 0b110), (True, 0b111)):
            result = at.combine_stages(stage1, mem_attr, sh, fwb=fwb)
            assert isinstance(result, Normal)
            assert result.shareability is max(first, second)


def test_c13_stage_2_with_fwb() -> None:
    def forced(stage1: at.Attributes, mem_attr: int) -> at.Attributes:
        return at.combine_stages(stage1, mem_attr, 0b11, fwb=True)

    for stage1 in (WB, WT, NORMAL_NC, GRE, at.STRONGEST_DEVICE):
        assert at.cache_kind(forced(stage1, 0b110)) is Kind.WB
        assert forced(stage1, 0b111) == stage1
    assert forced(WB, 0b101) == NORMAL_NC
    assert forced(GRE, 0b101) == GRE
    assert forced(WB, 0b010) == Device(Subtype.NGRE)
    assert forced(NGNRE, 0b010) == NGNRE
    assert forced(WB, 0b001) == NGNRE


def test_c13_reserved_stage_2_attributes() -> None:
    assert [a for a in range(16) if at.stage2_is_reserved(a, fwb=False)] == [4, 8, 12]
    assert [a for a in range(8) if at.stage2_is_reserved(a, fwb=True)] == [4]


def test_c12_hcr_cd_and_id() -> None:
    def limited(page: at.Attributes, purpose: Purpose, cd: bool, id_: bool) -> at.Attributes:
        return at.stage2_limited(page, purpose, cache_disabled=cd, icache_disabled=id_)

    assert limited(WB, Purpose.DATA, True, False) == NORMAL_NC
    assert limited(WB, Purpose.WALK, True, False) == NORMAL_NC
    assert limited(WB, Purpose.FETCH, True, False) == WB
    assert limited(WB, Purpose.FETCH, False, True) == NORMAL_NC
    assert limited(WB, Purpose.DATA, False, True) == WB
    assert limited(GRE, Purpose.DATA, True, True) == GRE
    assert limited(GRE, Purpose.WALK, False, False) == NORMAL_NC
    assert limited(GRE, Purpose.FETCH, False, False) == NORMAL_NC
