"""The reference walk on tables small enough to check by hand; one test per rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pocwatch.arch.ops import Kind
from pocwatch.arch.registers import (
    HCR_EL2,
    SCTLR,
    TCR_ONE_RANGE,
    TCR_TWO_RANGES,
    VTCR_EL2,
)
from pocwatch.arch.translation import Fault, Regime, Registers, Why, regime_of, translate

PA_48_BITS = 5
AF, PAGE, TABLE, BLOCK = 1 << 10, 0b11, 0b11, 0b01
MAIR = 0x00_44_FF  # index 0 Write-Back, 1 Non-cacheable, 2 Device
ON = SCTLR.make(M=1, C=1, I=1)
TCR = TCR_TWO_RANGES.make(
    T0SZ=25, T1SZ=25, IRGN0=1, ORGN0=1, SH0=3, IRGN1=1, ORGN1=1, SH1=3, TG1=0b10, IPS=PA_48_BITS
)
# 40-bit IPA, initial lookup at level 1 (two concatenated tables), Write-Back walks.
VTCR = VTCR_EL2.make(T0SZ=24, SL0=1, IRGN0=1, ORGN0=1, SH0=3, PS=PA_48_BITS)
FWB = HCR_EL2.make(FWB=1)
VM = HCR_EL2.make(VM=1)

# Stage 1: VA 0x1000 is page 0x5000, VA 0x4000_0000 a 1 GiB block at the same address.
STAGE1 = {
    0x10_0000: 0x10_1000 | TABLE,
    0x10_0008: 0x4000_0000 | AF | BLOCK,
    0x10_1000: 0x10_2000 | TABLE,
    0x10_2008: 0x5000 | AF | PAGE,
}
# Stage 2: the first GiB is one block of identity, Normal Write-Back, readable.
STAGE2 = {0x20_0000: AF | 1 << 6 | 0b1111 << 2 | BLOCK}
GUEST = Registers(
    sctlr_el1=ON,
    tcr_el1=TCR,
    mair_el1=MAIR,
    ttbr0_el1=0x10_0000,
    vtcr_el2=VTCR,
    vttbr_el2=0x20_0000,
    id_aa64mmfr0=PA_48_BITS,
)


def run(
    registers: Registers, va: int, words: dict[int, int] | None = None, *, fetch: bool = False
) -> tuple[object, ...]:
    memory = STAGE1 | STAGE2 | (words or {})
    result = translate(
        registers, lambda pa: memory.get(pa, 0).to_bytes(8, "little"), va, fetch=fetch
    )
    return result.fault, result.pa, result.ipa, result.kind


def test_page_and_block_of_stage_1() -> None:
    assert run(GUEST, 0x1234) == (None, 0x5234, None, Kind.WB)
    assert run(GUEST, 0x4567_89AB) == (None, 0x4567_89AB, None, Kind.WB)
    assert run(GUEST, 0x2000)[0] is Fault.TRANSLATION
    assert run(GUEST, 1 << 39)[0] is Fault.TRANSLATION


def test_stage_2_translates_descriptor_reads_as_well() -> None:
    guest = replace(GUEST, hcr_el2=VM)
    result = translate(
        guest, lambda pa: (STAGE1 | STAGE2).get(pa, 0).to_bytes(8, "little"), 0x1234, fetch=False
    )
    assert (result.pa, result.ipa, result.kind) == (0x5234, 0x5234, Kind.WB)
    assert [(r.stage, r.level, r.pa) for r in result.reads] == [
        (2, 1, 0x20_0000),
        (1, 1, 0x10_0000),
        (2, 1, 0x20_0000),
        (1, 2, 0x10_1000),
        (2, 1, 0x20_0000),
        (1, 3, 0x10_2008),
        (2, 1, 0x20_0000),
    ]
    assert {r.kind for r in result.reads} == {Kind.WB}


def test_concatenated_stage_2_tables() -> None:
    """IPA<39> selects the second of two tables of level 1."""
    guest = replace(GUEST, hcr_el2=VM, sctlr_el1=0)
    entry = {0x20_1000: 0x8000_0000 | STAGE2[0x20_0000]}
    assert run(guest, 1 << 39 | 0x10, entry)[:2] == (None, 0x8000_0010)
    assert run(guest, 1 << 40, entry)[0] is Fault.TRANSLATION


def test_c12_guest_with_mmu_off() -> None:
    """The thread's case: data bypass the caches, unless HCR_EL2.DC or FWB says otherwise."""
    off = replace(GUEST, sctlr_el1=0, hcr_el2=VM)
    assert run(off, 0x40)[3] is Kind.DEV
    assert run(off, 0x40, fetch=True)[3] is Kind.NC
    icache = replace(off, sctlr_el1=SCTLR.make(I=1))
    assert run(icache, 0x40, fetch=True)[3] is Kind.WT
    default_cacheable = replace(off, hcr_el2=HCR_EL2.make(DC=1))
    assert run(default_cacheable, 0x40) == (None, 0x40, 0x40, Kind.WB)
    forced = {0x20_0000: STAGE2[0x20_0000] & ~0x3C | 0b0110 << 2}
    fwb = replace(off, hcr_el2=VM | FWB)
    assert run(fwb, 0x40, forced)[3] is Kind.WB
    assert run(fwb, 0x40, forced, fetch=True)[3] is Kind.WB


def test_a10_dc_does_not_make_device_of_stage_2_cacheable() -> None:
    device = {0x20_0000: STAGE2[0x20_0000] & ~0x3C}
    assert run(replace(GUEST, sctlr_el1=0, hcr_el2=HCR_EL2.make(DC=1)), 0x40, device)[3] is Kind.DEV


def test_c12_dc_acts_as_m_0() -> None:
    guest = replace(GUEST, hcr_el2=HCR_EL2.make(DC=1))
    assert run(guest, 0x1234) == (None, 0x1234, 0x1234, Kind.WB)


@pytest.mark.parametrize(
    ("sctlr", "hcr", "data", "fetch", "walk"),
    [
        (SCTLR.make(M=1, C=1, I=1), VM, Kind.WB, Kind.WB, Kind.WB),
        (SCTLR.make(M=1, I=1), VM, Kind.NC, Kind.WB, Kind.NC),
        (SCTLR.make(M=1, C=1), VM, Kind.WB, Kind.NC, Kind.WB),
        (ON, VM | HCR_EL2.make(CD=1), Kind.NC, Kind.WB, Kind.NC),
        (ON, VM | HCR_EL2.make(ID=1), Kind.WB, Kind.NC, Kind.WB),
    ],
)
def test_c12_cache_controls(sctlr: int, hcr: int, data: Kind, fetch: Kind, walk: Kind) -> None:
    guest = replace(GUEST, sctlr_el1=sctlr, hcr_el2=hcr)
    assert run(guest, 0x1234)[3] is data
    assert run(guest, 0x1234, fetch=True)[3] is fetch
    memory = STAGE1 | STAGE2
    result = translate(
        guest, lambda pa: memory.get(pa, 0).to_bytes(8, "little"), 0x1234, fetch=False
    )
    assert {r.kind for r in result.reads if r.stage == 1} == {walk}


def test_reasons_name_the_deciding_controls() -> None:
    def why(registers: Registers) -> Why:
        memory = STAGE1 | STAGE2
        return translate(
            registers, lambda pa: memory.get(pa, 0).to_bytes(8, "little"), 0x1234, fetch=False
        ).why

    assert why(GUEST) == Why.S1_PAGE
    assert why(replace(GUEST, sctlr_el1=0)) == Why.S1_OFF
    assert why(replace(GUEST, sctlr_el1=SCTLR.make(M=1))) == Why.S1_PAGE | Why.C_CLEAR
    assert why(replace(GUEST, hcr_el2=VM)) == Why.S1_PAGE | Why.S2_ON


def test_tagged_addresses_and_tbid() -> None:
    tagged = 0xAB << 56 | 0x1234
    assert run(GUEST, tagged)[0] is Fault.TRANSLATION
    ignored = replace(GUEST, tcr_el1=TCR | TCR_TWO_RANGES.make(TBI0=1))
    assert run(ignored, tagged)[:2] == (None, 0x5234)
    assert run(ignored, tagged, fetch=True)[:2] == (None, 0x5234)
    data_only = replace(GUEST, tcr_el1=TCR | TCR_TWO_RANGES.make(TBI0=1, TBID0=1))
    assert run(data_only, tagged)[:2] == (None, 0x5234)
    assert run(data_only, tagged, fetch=True)[0] is Fault.TRANSLATION


def test_epd_disables_one_range() -> None:
    guest = replace(GUEST, tcr_el1=TCR | TCR_TWO_RANGES.make(EPD0=1), ttbr1_el1=0x10_0000)
    assert run(guest, 0x1234)[0] is Fault.TRANSLATION
    assert run(guest, 0xFFFF_FF80_0000_1234)[:2] == (None, 0x5234)


def test_access_flag_and_address_size_faults() -> None:
    assert run(GUEST, 0x1234, {0x10_2008: 0x5000 | PAGE})[0] is Fault.ACCESS_FLAG
    narrow = replace(GUEST, tcr_el1=TCR & ~TCR_TWO_RANGES.make(IPS=7))
    assert run(narrow, 0x1234, {0x10_2008: 1 << 32 | AF | PAGE})[0] is Fault.ADDRESS_SIZE


def test_ptw_protects_stage_1_tables_from_device_memory() -> None:
    device = {0x20_0000: AF | 1 << 6 | BLOCK}
    guest = replace(GUEST, hcr_el2=VM)
    assert run(guest, 0x1234, device)[3] is Kind.DEV
    protected = replace(GUEST, hcr_el2=VM | HCR_EL2.make(PTW=1))
    assert run(protected, 0x1234, device)[0] is Fault.PERMISSION


@pytest.mark.parametrize(
    ("el", "hcr", "regime"),
    [
        (0, 0, Regime.EL10),
        (1, HCR_EL2.make(E2H=1), Regime.EL10),
        (0, HCR_EL2.make(E2H=1), Regime.EL10),
        (0, HCR_EL2.make(E2H=1, TGE=1), Regime.EL20),
        (2, HCR_EL2.make(E2H=1), Regime.EL20),
        (2, 0, Regime.EL2),
        (3, 0, Regime.EL3),
    ],
)
def test_regimes(el: int, hcr: int, regime: Regime) -> None:
    assert regime_of(Registers(el=el, hcr_el2=hcr, has_el3=el == 3, scr_el3=1)) is regime


def test_el2_and_host_use_their_own_tables_without_stage_2() -> None:
    one = TCR_ONE_RANGE.make(T0SZ=25, IRGN0=1, ORGN0=1, SH0=3, PS=PA_48_BITS)
    hyp = Registers(
        el=2,
        sctlr_el2=ON,
        tcr_el2=one,
        mair_el2=MAIR,
        ttbr0_el2=0x10_0000,
        hcr_el2=VM,
        id_aa64mmfr0=PA_48_BITS,
    )
    assert run(hyp, 0x1234) == (None, 0x5234, None, Kind.WB)
    host = replace(hyp, tcr_el2=TCR, hcr_el2=VM | HCR_EL2.make(E2H=1))
    assert run(host, 0x1234) == (None, 0x5234, None, Kind.WB)
    host_user = replace(host, el=0, hcr_el2=VM | HCR_EL2.make(E2H=1, TGE=1))
    assert run(host_user, 0x1234) == (None, 0x5234, None, Kind.WB)


def test_memory_that_is_not_there() -> None:
    result = translate(GUEST, lambda _pa: None, 0x1234, fetch=False)
    assert (result.fault, result.fault_stage, result.fault_level) == (Fault.EXTERNAL, 1, 1)
