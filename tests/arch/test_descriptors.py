"""Geometry of translation tables against the tables of the Arm ARM."""

from __future__ import annotations

import pytest

from pocwatch.arch import descriptors as de
from pocwatch.arch.descriptors import EntryType, Granule

BLOCK_SIZES_LOG2 = {
    Granule.K4: {0: 39, 1: 30, 2: 21, 3: 12},
    Granule.K16: {1: 36, 2: 25, 3: 14},
    Granule.K64: {1: 42, 2: 29, 3: 16},
}


@pytest.mark.parametrize("granule", Granule)
def test_block_and_page_sizes(granule: Granule) -> None:
    for level, size_log2 in BLOCK_SIZES_LOG2[granule].items():
        assert de.level_shift(granule, level) == size_log2


@pytest.mark.parametrize(
    ("granule", "input_bits", "level"),
    [
        (Granule.K4, 52, -1),
        (Granule.K4, 48, 0),
        (Granule.K4, 40, 0),
        (Granule.K4, 39, 1),
        (Granule.K4, 30, 2),
        (Granule.K4, 21, 3),
        (Granule.K16, 48, 0),
        (Granule.K16, 47, 1),
        (Granule.K16, 36, 2),
        (Granule.K64, 52, 1),
        (Granule.K64, 48, 1),
        (Granule.K64, 42, 2),
    ],
)
def test_initial_level_of_stage_1(granule: Granule, input_bits: int, level: int) -> None:
    assert de.start_level(granule, input_bits) == level


def test_blocks_by_level() -> None:
    def levels(granule: Granule, *, ds: bool, pa_bits: int) -> list[int]:
        return [
            level
            for level in range(-1, 3)
            if de.block_is_supported(granule, level, ds=ds, pa_bits=pa_bits)
        ]

    assert levels(Granule.K4, ds=False, pa_bits=48) == [1, 2]
    assert levels(Granule.K4, ds=True, pa_bits=52) == [0, 1, 2]
    assert levels(Granule.K16, ds=False, pa_bits=48) == [2]
    assert levels(Granule.K16, ds=True, pa_bits=52) == [1, 2]
    assert levels(Granule.K64, ds=False, pa_bits=48) == [2]
    assert levels(Granule.K64, ds=False, pa_bits=52) == [1, 2]


def test_entry_types() -> None:
    def kind(low: int, level: int) -> EntryType:
        return de.entry_type(low, Granule.K4, level, ds=False, pa_bits=48)

    assert [kind(low, 3) for low in range(4)] == [EntryType.INVALID] * 3 + [EntryType.LEAF]
    assert [kind(low, 2) for low in (0, 1, 2, 3)] == [
        EntryType.INVALID,
        EntryType.LEAF,
        EntryType.INVALID,
        EntryType.TABLE,
    ]
    assert kind(0b01, 0) is EntryType.INVALID


def test_output_addresses_of_52_bits() -> None:
    lpa2 = de.entry_output(0x0003_8000_0000_0300, Granule.K4, 12, ds=True, pa_bits=52)
    assert lpa2 == 0x000F_8000_0000_0000
    lpa = de.entry_output(0x8000_0001_F000, Granule.K64, 16, ds=False, pa_bits=52)
    assert lpa == 0x000F_8000_0001_0000


def test_table_base_is_aligned_to_the_table() -> None:
    assert de.table_base(0x1234_0000_1FFF, 9, large=False) == 0x1234_0000_1000
    assert de.table_base(0x1000 | 0b1111 << 2, 2, large=True) == 0x000F_0000_0000_1000
