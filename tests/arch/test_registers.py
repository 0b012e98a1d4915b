"""CTR_EL0 and CLIDR_EL1 values of known PEs, and the field layouts."""

from __future__ import annotations

import pytest

from pocwatch.arch import registers as reg

# CTR_EL0 and CLIDR_EL1 as QEMU's models show them; they are those of the cores' TRMs.
CORTEX_A57 = (0x8444_C004, 0x0A20_0023)
NEOVERSE_N1 = (0x0000_0000_8444_C004, 0x0000_0000_8200_0023)
NEOVERSE_DIC = (0xB444_C004, 0x8200_0023)


@pytest.mark.parametrize(
    ("pe", "idc", "dic"),
    [(CORTEX_A57, False, False), (NEOVERSE_N1, True, False), (NEOVERSE_DIC, True, True)],
)
def test_c14_idc_and_dic_of_known_pes(pe: tuple[int, int], idc: bool, dic: bool) -> None:
    assert reg.idc(*pe) is idc
    assert reg.dic(pe[0]) is dic


def test_c14_idc_also_follows_from_clidr() -> None:
    some = reg.CLIDR_EL1.make(LoC=2, LoUU=1, LoUIS=1)
    assert not reg.idc(0, some)
    assert reg.idc(reg.CTR_EL0.make(IDC=1), some)
    assert reg.idc(0, reg.CLIDR_EL1.make(LoC=0, LoUU=1, LoUIS=1))
    assert reg.idc(0, reg.CLIDR_EL1.make(LoC=2))
    assert not reg.idc(0, reg.CLIDR_EL1.make(LoC=2, LoUU=1))


def test_c6_line_sizes_and_granule() -> None:
    ctr = CORTEX_A57[0]
    assert reg.data_line_size_bytes(ctr) == 64
    assert reg.instruction_line_size_bytes(ctr) == 64
    assert reg.write_back_granule_bytes(ctr) == 64
    assert reg.write_back_granule_bytes(0) == 2048
    assert reg.data_line_size_bytes(reg.CTR_EL0.make(DminLine=3)) == 32


def test_c14_only_vipt_leaves_aliases() -> None:
    assert reg.instruction_cache_aliases(reg.CTR_EL0.make(L1Ip=0b10))
    assert not reg.instruction_cache_aliases(reg.CTR_EL0.make(L1Ip=0b11))


@pytest.mark.parametrize("layout", [v for v in vars(reg).values() if isinstance(v, reg.Layout)])
def test_fields_lie_in_64_bits_and_do_not_overlap(layout: reg.Layout) -> None:
    used = 0
    for name, (msb, lsb) in layout.fields.items():
        assert 0 <= lsb <= msb < 64, name
        mask = (1 << (msb + 1)) - (1 << lsb)
        assert not used & mask, name
        used |= mask
        assert layout.get(layout.make(**{name: 1}), name) == 1


def test_make_refuses_a_value_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"HCR_EL2\.VM was given 0x2 but takes 1 bits"):
        reg.HCR_EL2.make(VM=2)
