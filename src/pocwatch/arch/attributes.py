"""Memory attributes: what table entries and controls say, and what both stages combine to.

Left out, because they do not change which copy of a byte an access sees: allocation and transient
hints, the XS attribute, MTE tagging, and gathering, reordering and early acknowledgement of Device
memory beyond the order of its subtypes. Reserved encodings are CONSTRAINED UNPREDICTABLE; they
decode to Device-nGnRnE here, one of the allocated values the architecture lets them mean.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pocwatch.arch.ops import Kind


class Cacheability(enum.IntEnum):
    """Cacheability of Normal memory at one of the two cache levels, strictest first."""

    NC = 0
    WT = 1
    WB = 2


class Shareability(enum.IntEnum):
    """Who must see the same data, narrowest first."""

    NSH = 0
    ISH = 1
    OSH = 2


class Subtype(enum.IntEnum):
    """Subtype of Device memory, strictest first."""

    NGNRNE = 0
    NGNRE = 1
    NGRE = 2
    GRE = 3


class Purpose(enum.Enum):
    """What an access is for, as far as cacheability controls tell accesses apart."""

    DATA = "data access"
    FETCH = "instruction fetch"
    WALK = "translation table walk"


@dataclass(frozen=True, slots=True)
class Normal:
    """Attributes of Normal memory."""

    inner: Cacheability
    outer: Cacheability
    shareability: Shareability

    @property
    def is_non_cacheable(self) -> bool:
        """Tell whether no cache level may hold the location."""
        return self.inner is Cacheability.NC and self.outer is Cacheability.NC


@dataclass(frozen=True, slots=True)
class Device:
    """Attributes of Device memory; always Outer Shareable."""

    subtype: Subtype


Attributes = Normal | Device

NORMAL_NC = Normal(Cacheability.NC, Cacheability.NC, Shareability.OSH)
NORMAL_WB_NSH = Normal(Cacheability.WB, Cacheability.WB, Shareability.NSH)
NORMAL_WT_OSH = Normal(Cacheability.WT, Cacheability.WT, Shareability.OSH)
STRONGEST_DEVICE = Device(Subtype.NGNRNE)

# MAIR byte 0b0000dd0x, stage 2 MemAttr 0b00dd.
_SUBTYPES = (Subtype.NGNRNE, Subtype.NGNRE, Subtype.NGRE, Subtype.GRE)
# SH[1:0]; 0b01 is reserved and taken as Outer Shareable, which promises most.
_SHAREABILITIES = (Shareability.NSH, Shareability.OSH, Shareability.OSH, Shareability.ISH)
# IRGN, ORGN: NC, WB RAWA, WT RA, WB RA.
_WALK_CACHEABILITIES = (Cacheability.NC, Cacheability.WB, Cacheability.WT, Cacheability.WB)
# Stage 2 MemAttr[3:2] and [1:0] when the entry is Normal; 0b00 is not Normal.
_STAGE2_CACHEABILITIES = {0b01: Cacheability.NC, 0b10: Cacheability.WT, 0b11: Cacheability.WB}
# MAIR bytes whose low nibble would otherwise be reserved: XS == 0 and MTE encodings.
_MAIR_SPECIAL = {
    0x40: Cacheability.NC,
    0xA0: Cacheability.WT,
    0xF0: Cacheability.WB,
}


def cache_kind(attributes: Attributes) -> Kind:
    """Return how the line model treats an access with these attributes.

    Write-Back only if inner and outer both are; Write-Through if both may be cached but one only
    through; else Non-cacheable.

    Arm ARM DDI 0487, "Mismatched memory attributes" and "Memory types and attributes"; facts C10,
    C18.
    """
    # Which levels are "inner" and "outer" is IMPLEMENTATION DEFINED. With inner WB and outer NC a
    # PE with an outer cache must write past it and may keep the line in inner levels, so readers of
    # memory may or may not see the write. Known cores cache only memory that is Write-Back at both
    # levels and treat the rest as Non-cacheable (Cortex-A77 TRM, fact C18), hence WB needs both.
    if isinstance(attributes, Device):
        return Kind.DEV
    weakest = min(attributes.inner, attributes.outer)
    return {Cacheability.WB: Kind.WB, Cacheability.WT: Kind.WT, Cacheability.NC: Kind.NC}[weakest]


def decode_shareability(sh: int) -> Shareability:
    """Decode a two-bit SH field.

    Arm ARM DDI 0487, "Shareability attributes of Normal memory" (0b01 reserved); fact C13.
    """
    return _SHAREABILITIES[sh]


def mair_is_reserved(byte: int) -> bool:
    """Tell whether the meaning of a MAIR byte is CONSTRAINED UNPREDICTABLE.

    Arm ARM DDI 0487, "MAIR_EL1, Memory Attribute Indirection Register"; fact C13.
    """
    outer, inner = byte >> 4, byte & 0xF
    if outer == 0:
        return inner & 0b0010 != 0
    return inner == 0 and byte not in _MAIR_SPECIAL


def decode_mair(byte: int, shareability: Shareability) -> Attributes:
    """Return what a MAIR byte says of a page whose entry has that shareability.

    Arm ARM DDI 0487, "MAIR_EL1, Memory Attribute Indirection Register"; fact C13.
    """
    if mair_is_reserved(byte):
        return STRONGEST_DEVICE
    outer, inner = byte >> 4, byte & 0xF
    if outer == 0:
        return Device(_SUBTYPES[inner >> 2])
    if byte in _MAIR_SPECIAL:
        cacheability = _MAIR_SPECIAL[byte]
        return _effective(Normal(cacheability, cacheability, shareability))
    return _effective(Normal(_nibble(inner), _nibble(outer), shareability))


def _nibble(nibble: int) -> Cacheability:
    """Decode a non-zero MAIR nibble: 0100 NC, 01RW and 11RW WB, 00RW and 10RW WT."""
    if nibble == 0b0100:
        return Cacheability.NC
    return Cacheability.WB if nibble & 0b0100 else Cacheability.WT


def walk_attributes(irgn: int, orgn: int, sh: int) -> Normal:
    """Return the attributes of a stage's descriptor reads from its TCR's IRGN, ORGN and SH fields.

    Arm ARM DDI 0487, "TCR_EL1, Translation Control Register"; fact C12.
    """
    shareability = decode_shareability(sh)
    return _effective(Normal(_WALK_CACHEABILITIES[irgn], _WALK_CACHEABILITIES[orgn], shareability))


def stage1_off(purpose: Purpose, *, default_cacheable: bool, icache_on: bool) -> Attributes:
    """Return the attributes of an access whose stage 1 is disabled.

    `default_cacheable` is the effective HCR_EL2.DC of the EL1&0 regime, `icache_on` SCTLR_ELx.I.

    Arm ARM DDI 0487, "The effects of disabling a stage of address translation"; fact C12.
    """
    if default_cacheable:
        return NORMAL_WB_NSH
    if purpose is Purpose.FETCH:
        return NORMAL_WT_OSH if icache_on else NORMAL_NC
    return STRONGEST_DEVICE


def stage1_limited(
    attributes: Attributes, purpose: Purpose, *, dcache_on: bool, icache_on: bool
) -> Attributes:
    """Apply SCTLR_ELx.C (data accesses and walks) or SCTLR_ELx.I (fetches) to stage 1 attributes.

    A fetch from Device memory either faults or is treated as a fetch from Normal Non-cacheable
    memory; only the latter is an access.

    Arm ARM DDI 0487, "Enabling and disabling the caching of memory accesses"; fact C12.
    """
    if purpose is Purpose.FETCH:
        return attributes if icache_on and isinstance(attributes, Normal) else NORMAL_NC
    return attributes if dcache_on or isinstance(attributes, Device) else NORMAL_NC


def stage2_is_reserved(mem_attr: int, *, fwb: bool) -> bool:
    """Tell whether a stage 2 MemAttr[3:0] is reserved (without FEAT_MTE_PERM).

    Arm ARM DDI 0487, "Stage 2 memory region type and cacheability attributes"; fact C13.
    """
    if fwb:
        return mem_attr & 0b111 == 0b100
    return mem_attr >> 2 != 0 and mem_attr & 0b11 == 0


def combine_stages(stage1: Attributes, mem_attr: int, sh: int, *, fwb: bool) -> Attributes:
    """Combine stage 1 attributes with a stage 2 entry's MemAttr[3:0] and SH[1:0].

    Arm ARM DDI 0487, "Combining stage 1 and stage 2 memory type attributes" and "Stage 2 memory
    region type and cacheability attributes when FEAT_S2FWB is enabled"; fact C13.
    """
    if stage2_is_reserved(mem_attr, fwb=fwb):
        return STRONGEST_DEVICE
    if fwb:
        return _force(stage1, mem_attr & 0b111, decode_shareability(sh))
    return combine_equal(stage1, _decode_stage2(mem_attr, sh))


def combine_equal(stage1: Attributes, stage2: Attributes) -> Attributes:
    """Combine attributes of two stages when neither overrides: the stricter wins at each level.

    Arm ARM DDI 0487, "Combining stage 1 and stage 2 memory type attributes"; fact C13.
    """
    if isinstance(stage1, Device) and isinstance(stage2, Device):
        return Device(min(stage1.subtype, stage2.subtype))
    if isinstance(stage1, Device):
        return stage1
    if isinstance(stage2, Device):
        return stage2
    return _effective(
        Normal(
            min(stage1.inner, stage2.inner),
            min(stage1.outer, stage2.outer),
            max(stage1.shareability, stage2.shareability),
        )
    )


def _decode_stage2(mem_attr: int, sh: int) -> Attributes:
    """Decode a stage 2 MemAttr[3:0] that is not reserved, HCR_EL2.FWB == 0."""
    outer, inner = mem_attr >> 2, mem_attr & 0b11
    if outer == 0:
        return Device(_SUBTYPES[inner])
    return Normal(
        _STAGE2_CACHEABILITIES[inner], _STAGE2_CACHEABILITIES[outer], decode_shareability(sh)
    )


def _force(stage1: Attributes, mem_attr: int, shareability: Shareability) -> Attributes:
    """Apply a stage 2 MemAttr[2:0] that is not reserved, HCR_EL2.FWB == 1."""
    both = shareability
    if isinstance(stage1, Normal):
        both = max(shareability, stage1.shareability)
    if mem_attr & 0b100 == 0:
        return combine_equal(stage1, Device(_SUBTYPES[mem_attr & 0b11]))
    if mem_attr == 0b110:
        return Normal(Cacheability.WB, Cacheability.WB, both)
    if isinstance(stage1, Device):
        return stage1
    if mem_attr == 0b101:
        return NORMAL_NC
    return _effective(Normal(stage1.inner, stage1.outer, both))


def stage2_limited(
    combined: Attributes, purpose: Purpose, *, cache_disabled: bool, icache_disabled: bool
) -> Attributes:
    """Apply HCR_EL2.CD (data accesses and walks) or HCR_EL2.ID (fetches) to combined attributes.

    A walk that reads Device memory (HCR_EL2.PTW == 0) and a fetch from Device memory are treated as
    accesses to Normal Non-cacheable memory, the choice among the permitted ones that goes on.

    Arm ARM DDI 0487, "HCR_EL2, Hypervisor Configuration Register", fields CD, ID, PTW; fact C12.
    """
    if isinstance(combined, Device):
        return combined if purpose is Purpose.DATA else NORMAL_NC
    off = icache_disabled if purpose is Purpose.FETCH else cache_disabled
    return NORMAL_NC if off else combined


def _effective(normal: Normal) -> Normal:
    """Make Non-cacheable memory Outer Shareable, whatever its SH field says.

    Arm ARM DDI 0487, "Shareability attributes of Normal memory"; fact C13.
    """
    return NORMAL_NC if normal.is_non_cacheable else normal
