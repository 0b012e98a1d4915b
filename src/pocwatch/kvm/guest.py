"""How a guest's accesses look at memory: vCPU registers and stage 2, combined as the architecture does.

A vCPU's SCTLR_EL1.{M, C, I} and HCR_EL2.DC decide stage 1; KVM's stage 2 entry, with or without
FEAT_S2FWB, has the last word. Left out: Write-Through stage 1 mappings, shareability (all observers
are in one Inner Shareable domain).
"""

from __future__ import annotations

import enum
import functools
from typing import NamedTuple

from pocwatch.arch import attributes
from pocwatch.arch.attributes import Attributes, Cacheability, Normal, Purpose, Shareability
from pocwatch.arch.ops import Kind

GUEST_WB = Normal(Cacheability.WB, Cacheability.WB, Shareability.ISH)
GUEST_NC = attributes.NORMAL_NC
STAGE2_NORMAL_WB = 0b1111
STAGE2_FORCED_WB = 0b0110  # with HCR_EL2.FWB: Write-Back whatever stage 1 says
STAGE2_DEVICE_NGNRE = 0b0001  # the same with and without HCR_EL2.FWB
_SH_INNER = 0b11


class Stage2(enum.Enum):
    """What KVM's stage 2 entry makes of the guest's attributes."""

    NORMAL = "Normal Write-Back, the guest's attributes may weaken it"
    FORCED = "Write-Back forced for data and fetches (FEAT_S2FWB)"
    FORCED_DATA = "Write-Back forced for data only (FEAT_S2FWB, the other reading; facts B1.14)"
    DEVICE = "Device-nGnRE"


class Sctlr(NamedTuple):
    """SCTLR_EL1 of a vCPU, as far as caches are concerned."""

    m: bool = False
    c: bool = False
    i: bool = False

    @property
    def caches_on(self) -> bool:
        """Whether data accesses of the guest may be cacheable: KVM's vcpu_has_cache_enabled."""
        return self.m and self.c

    def __str__(self) -> str:
        return f"M={self.m:d} C={self.c:d} I={self.i:d}"


def stage1(sctlr: Sctlr, *, dc: bool, mapped: Normal, purpose: Purpose) -> Attributes:
    """Return what stage 1 says of a guest access; `mapped` is the guest's own mapping.

    HCR_EL2.DC makes the hardware treat SCTLR_EL1.M as 0. Facts A8, A9, C12.
    """
    if dc or not sctlr.m:
        return attributes.stage1_off(purpose, default_cacheable=dc, icache_on=sctlr.i)
    return attributes.stage1_limited(mapped, purpose, dcache_on=sctlr.c, icache_on=sctlr.i)


def combined(stage1_attributes: Attributes, stage2: Stage2, purpose: Purpose) -> Attributes:
    """Combine with KVM's stage 2 entry. Facts A10, B1.12, B1.14, C13."""
    if stage2 is Stage2.DEVICE:
        mem_attr, fwb = STAGE2_DEVICE_NGNRE, False
    elif stage2 is Stage2.FORCED or (stage2 is Stage2.FORCED_DATA and purpose is Purpose.DATA):
        mem_attr, fwb = STAGE2_FORCED_WB, True
    else:
        mem_attr, fwb = STAGE2_NORMAL_WB, False
    return attributes.combine_stages(stage1_attributes, mem_attr, _SH_INNER, fwb=fwb)


@functools.cache
def data_kind(sctlr: Sctlr, dc: bool, mapped: Normal, stage2: Stage2) -> Kind:
    """Return how a guest's load or store looks at the line."""
    said = stage1(sctlr, dc=dc, mapped=mapped, purpose=Purpose.DATA)
    return attributes.cache_kind(combined(said, stage2, Purpose.DATA))


@functools.cache
def fetch_kinds(sctlr: Sctlr, dc: bool, stage2: Stage2) -> tuple[Kind, ...]:
    """Return how a guest's instruction fetch may look at the line.

    Write-Through may be implemented as Write-Back or as Non-cacheable (facts C18), so both.
    """
    said = stage1(sctlr, dc=dc, mapped=GUEST_WB, purpose=Purpose.FETCH)
    kind = attributes.cache_kind(combined(said, stage2, Purpose.FETCH))
    if kind is Kind.WT:
        return (Kind.WB, Kind.NC)
    return (Kind.WB if kind is Kind.WB else Kind.NC,)
