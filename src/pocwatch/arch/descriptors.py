"""Translation tables as geometry: granules, levels, where an entry lies, and what its bits mean.

VMSAv8-64 with 64-bit descriptors, 48-bit and 52-bit addresses (FEAT_LPA, FEAT_LPA2). Left out:
128-bit descriptors, permissions, and the hints Contiguous and nT.
"""

from __future__ import annotations

import enum

LAST_LEVEL = 3
_DESCRIPTOR_SIZE_LOG2 = 3


class Granule(enum.IntEnum):
    """Translation granule, as log2 of its size in bytes."""

    K4 = 12
    K16 = 14
    K64 = 16

    @property
    def stride(self) -> int:
        """Number of input address bits that one full table resolves."""
        return self - _DESCRIPTOR_SIZE_LOG2


class EntryType(enum.Enum):
    """What a descriptor is."""

    INVALID = "invalid"
    TABLE = "table"
    LEAF = "block or page"


# TG fields. The remaining encodings are reserved.
TG0 = {0b00: Granule.K4, 0b01: Granule.K64, 0b10: Granule.K16}
TG1 = {0b01: Granule.K16, 0b10: Granule.K4, 0b11: Granule.K64}


def bits(value: int, msb: int, lsb: int) -> int:
    """Return value<msb:lsb>, as the Arm ARM writes it; 0 for an empty range."""
    return value >> lsb & (1 << max(0, msb - lsb + 1)) - 1


def level_shift(granule: Granule, level: int) -> int:
    """Return the number of input address bits that an entry of this level leaves untranslated.

    Arm ARM DDI 0487, "Translation granules".
    """
    return granule + granule.stride * (LAST_LEVEL - level)


def start_level(granule: Granule, input_bits: int) -> int:
    """Return the level at which a stage 1 walk of that many input address bits starts.

    Arm ARM DDI 0487, "Determining the initial lookup level of stage 1".
    """
    levels = -(-(input_bits - granule) // granule.stride)
    return LAST_LEVEL + 1 - levels


# VTCR_EL2.{SL2,SL0} to the initial lookup level; other encodings are reserved.
_STAGE2_START_LEVELS = {
    Granule.K4: {0b000: 2, 0b001: 1, 0b010: 0, 0b011: 3, 0b100: -1},
    Granule.K16: {0b000: 3, 0b001: 2, 0b010: 1, 0b011: 0},
    Granule.K64: {0b000: 3, 0b001: 2, 0b010: 1},
}


def stage2_start_level(granule: Granule, sl2_sl0: int) -> int | None:
    """Return the level at which a stage 2 walk starts, None for a reserved encoding.

    Arm ARM DDI 0487, "VTCR_EL2, Virtualization Translation Control Register", fields SL0 and SL2.
    """
    return _STAGE2_START_LEVELS[granule].get(sl2_sl0)


def initial_index_bits(granule: Granule, level: int, input_bits: int) -> int:
    """Return how many input address bits the initial lookup resolves.

    More than the stride means concatenated tables, at stage 2 only, up to 16 of them.

    Arm ARM DDI 0487, "Concatenated translation tables".
    """
    return input_bits - level_shift(granule, level)


def table_base(ttbr: int, index_bits: int, *, large: bool) -> int:
    """Return the address of the initial table, from a TTBR that names it.

    The table is aligned to its size, and to 64 bytes at least where addresses have 52 bits (then
    TTBR<5:2> holds address<51:48>).

    Arm ARM DDI 0487, "TTBR0_EL1, Translation Table Base Register 0", field BADDR.
    """
    alignment_log2 = index_bits + _DESCRIPTOR_SIZE_LOG2
    if large:
        alignment_log2 = max(alignment_log2, 6)
    base = bits(ttbr, 47, 1) << 1
    base = base >> alignment_log2 << alignment_log2
    if large:
        base |= bits(ttbr, 5, 2) << 48
    return base


def entry_address(table: int, granule: Granule, level: int, index_bits: int, address: int) -> int:
    """Return where the descriptor for an input address lies in a table of this level."""
    lsb = level_shift(granule, level)
    index = bits(address, lsb + index_bits - 1, lsb)
    return table | index << _DESCRIPTOR_SIZE_LOG2


def block_is_supported(granule: Granule, level: int, *, ds: bool, pa_bits: int) -> bool:
    """Tell whether an entry of this level may be a block.

    Arm ARM DDI 0487, "VMSAv8-64 Block descriptor and Page descriptor formats".
    """
    if granule is Granule.K4:
        return level in (1, 2) or (level == 0 and ds)
    if granule is Granule.K16:
        return level == 2 or (level == 1 and ds)
    return level == 2 or (level == 1 and pa_bits == 52)


def entry_type(
    descriptor: int, granule: Granule, level: int, *, ds: bool, pa_bits: int
) -> EntryType:
    """Decode bits 1:0 of a descriptor.

    Arm ARM DDI 0487, "VMSAv8-64 Table descriptor format" and "VMSAv8-64 Block descriptor and Page
    descriptor formats".
    """
    if not descriptor & 0b01:
        return EntryType.INVALID
    if descriptor & 0b10:
        return EntryType.LEAF if level == LAST_LEVEL else EntryType.TABLE
    if level < LAST_LEVEL and block_is_supported(granule, level, ds=ds, pa_bits=pa_bits):
        return EntryType.LEAF
    return EntryType.INVALID


def entry_output(descriptor: int, granule: Granule, shift: int, *, ds: bool, pa_bits: int) -> int:
    """Return the address that a descriptor points to; its low `shift` bits are 0.

    `shift` is the level's for a block or page and the granule's for a table. With DS, bits 9:8 hold
    address<51:50>; with 64 KiB granules and 52-bit addresses, bits 15:12 hold address<51:48>.

    Arm ARM DDI 0487, "VMSAv8-64 descriptor formats".
    """
    if ds:
        return bits(descriptor, 49, shift) << shift | bits(descriptor, 9, 8) << 50
    output = bits(descriptor, 47, shift) << shift
    if granule is Granule.K64 and pa_bits == 52:
        output |= bits(descriptor, 15, 12) << 48
    return output
