"""Address translation, slow and literal: stage 1 and stage 2 walks from VA to PA and attributes.

The specification that the plugin's walker is tested against. Regimes EL1&0, EL2, EL2&0 and EL3.
Left out: permissions (but for stage 2's of stage 1 walks), AArch32, Secure stage 2 tables, 128-bit
descriptors, MEC and granule protection, E0PD, and what hardware management of the Access flag
writes back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from pocwatch.arch import attributes as at
from pocwatch.arch import descriptors as de
from pocwatch.arch.ops import Kind
from pocwatch.arch.registers import (
    ADDRESS_SIZES_BITS,
    HCR_EL2,
    ID_AA64MMFR0_EL1,
    ID_AA64MMFR1_EL1,
    ID_AA64MMFR2_EL1,
    SCR_EL3,
    SCTLR,
    TCR_ONE_RANGE,
    TCR_TWO_RANGES,
    VTCR_EL2,
    Layout,
)

# Read the 8 bytes at a PA; None if there is no memory.
Memory = Callable[[int], bytes | None]


class Regime(enum.Enum):
    """Translation regime."""

    EL10 = "EL1&0"
    EL2 = "EL2"
    EL20 = "EL2&0"
    EL3 = "EL3"


class Fault(enum.Enum):
    """Why a translation has no result."""

    ADDRESS_SIZE = "Address size fault"
    TRANSLATION = "Translation fault"
    ACCESS_FLAG = "Access flag fault"
    PERMISSION = "stage 2 Permission fault on a stage 1 walk"
    EXTERNAL = "External abort on a translation table walk"


class Why(enum.IntFlag):
    """Controls that decided the attributes of an access; the numbers of the run file."""

    S1_OFF = 1 << 0
    C_CLEAR = 1 << 1
    I_CLEAR = 1 << 2
    HCR_DC = 1 << 3
    HCR_CD = 1 << 4
    HCR_ID = 1 << 5
    S1_PAGE = 1 << 6
    S2_ON = 1 << 7
    S2_DECIDED = 1 << 8
    FWB = 1 << 9
    TCR_WALK = 1 << 10


NO_REASON = Why(0)


@dataclass(frozen=True, slots=True)
class Registers:
    """System registers that a translation depends on; those a PE does not have are 0."""

    el: int = 1
    has_el2: bool = True
    has_el3: bool = False
    sctlr_el1: int = 0
    tcr_el1: int = 0
    ttbr0_el1: int = 0
    ttbr1_el1: int = 0
    mair_el1: int = 0
    sctlr_el2: int = 0
    tcr_el2: int = 0
    ttbr0_el2: int = 0
    ttbr1_el2: int = 0
    mair_el2: int = 0
    sctlr_el3: int = 0
    tcr_el3: int = 0
    ttbr0_el3: int = 0
    mair_el3: int = 0
    scr_el3: int = 0
    hcr_el2: int = 0
    vtcr_el2: int = 0
    vttbr_el2: int = 0
    id_aa64mmfr0: int = 0
    id_aa64mmfr1: int = 0
    id_aa64mmfr2: int = 0


@dataclass(frozen=True, slots=True)
class TableRead:
    """One descriptor that a walk read."""

    stage: int
    level: int
    pa: int
    ipa: int | None  # None for stage 2 descriptors and where stage 2 is off
    value: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of an access: where it goes and with which attributes, or why it goes nowhere."""

    reads: tuple[TableRead, ...]
    fault: Fault | None = None
    fault_stage: int = 0
    fault_level: int = 0
    pa: int = 0
    ipa: int | None = None  # None where stage 2 is off
    attributes: at.Attributes = at.STRONGEST_DEVICE
    why: Why = NO_REASON
    s1_mair: int = 0  # 0 where stage 1 is off
    s2_attr: int = 0xFF  # MemAttr[3:0], 0xff where stage 2 is off
    stage1_on: bool = False

    @property
    def kind(self) -> Kind:
        """How the line model treats the access."""
        return at.cache_kind(self.attributes)


def el2_is_enabled(registers: Registers) -> bool:
    """Tell whether EL2 exists in the current Security state.

    Arm ARM DDI 0487, "SCR_EL3, Secure Configuration Register", fields NS and EEL2.
    """
    if not registers.has_el2:
        return False
    if not registers.has_el3 or registers.el == 2:
        return True
    return bool(SCR_EL3.get(registers.scr_el3, "NS") or SCR_EL3.get(registers.scr_el3, "EEL2"))


def effective_hcr(registers: Registers) -> int:
    """Return HCR_EL2 as it counts in the current Security state: 0 where EL2 is not enabled.

    Arm ARM DDI 0487, "HCR_EL2, Hypervisor Configuration Register".
    """
    if not el2_is_enabled(registers):
        return 0
    return registers.hcr_el2


def regime_of(registers: Registers) -> Regime:
    """Return the regime that translates accesses of the current Exception level.

    Arm ARM DDI 0487, "Translation regimes".
    """
    if registers.el == 3:
        return Regime.EL3
    hcr = effective_hcr(registers)
    e2h, tge = HCR_EL2.get(hcr, "E2H"), HCR_EL2.get(hcr, "TGE")
    if registers.el == 2:
        return Regime.EL20 if e2h else Regime.EL2
    return Regime.EL20 if registers.el == 0 and e2h and tge else Regime.EL10


def stage1_is_on(registers: Registers) -> bool:
    """Tell whether stage 1 of the current regime is enabled; HCR_EL2.{DC,TGE} disable EL1&0's.

    Arm ARM DDI 0487, "The effects of disabling a stage of address translation" and "HCR_EL2"; fact
    C12.
    """
    regime = regime_of(registers)
    if regime is Regime.EL10:
        hcr = effective_hcr(registers)
        if HCR_EL2.get(hcr, "DC") or HCR_EL2.get(hcr, "TGE"):
            return False
    return SCTLR.get(_sctlr(registers, regime), "M") == 1


def stage2_is_on(registers: Registers) -> bool:
    """Tell whether accesses of the current Exception level go through stage 2; DC acts as VM.

    Arm ARM DDI 0487, "HCR_EL2, Hypervisor Configuration Register", fields VM and DC; fact C12.
    """
    if regime_of(registers) is not Regime.EL10:
        return False
    hcr = effective_hcr(registers)
    if HCR_EL2.get(hcr, "E2H") and HCR_EL2.get(hcr, "TGE"):
        return False
    return bool(HCR_EL2.get(hcr, "VM") or HCR_EL2.get(hcr, "DC"))


def translate(registers: Registers, memory: Memory, va: int, *, fetch: bool) -> Translation:
    """Translate the VA of a data access or an instruction fetch of the current Exception level."""
    walk = _Walk(registers, memory, at.Purpose.FETCH if fetch else at.Purpose.DATA)
    try:
        return walk.translate(va)
    except _Abort as abort:
        return Translation(tuple(walk.reads), abort.fault, abort.stage, abort.level)


def _sctlr(registers: Registers, regime: Regime) -> int:
    if regime is Regime.EL10:
        return registers.sctlr_el1
    return registers.sctlr_el3 if regime is Regime.EL3 else registers.sctlr_el2


class _Abort(Exception):
    """A fault on the way."""

    def __init__(self, fault: Fault, stage: int, level: int) -> None:
        super().__init__(fault, stage, level)
        self.fault, self.stage, self.level = fault, stage, level


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What the control register of one stage says of a walk."""

    stage: int
    granule: de.Granule
    input_bits: int
    start_level: int
    ttbr: int
    ps: int
    ds: bool
    pa_bits: int
    walk: at.Normal
    sh: int
    big_endian: bool
    hardware_access_flag: bool

    @property
    def output_bits(self) -> int:
        """Size of output addresses: the smaller of {I}PS and what is implemented."""
        size = min(ADDRESS_SIZES_BITS[self.ps], self.pa_bits)
        if size == 52 and self.granule is not de.Granule.K64 and not self.ds:
            return 48
        return size

    @property
    def large_base(self) -> bool:
        """Whether the TTBR holds a 52-bit address."""
        return self.ds or (
            self.granule is de.Granule.K64
            and self.pa_bits == 52
            and ADDRESS_SIZES_BITS[self.ps] == 52
        )


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The block or page that a walk ended at."""

    descriptor: int
    level: int
    output: int


@dataclass(slots=True)
class _Walk:
    """One translation under way."""

    registers: Registers
    memory: Memory
    purpose: at.Purpose
    reads: list[TableRead] = field(default_factory=list)

    def translate(self, va: int) -> Translation:
        """Stage 1, then stage 2 where it is on."""
        on = stage1_is_on(self.registers)
        if on:
            output, attributes, why, mair = self._stage1(va)
        else:
            output, attributes, why = self._stage1_off(va)
            mair = 0
        if not stage2_is_on(self.registers):
            return Translation(
                tuple(self.reads),
                pa=output,
                attributes=attributes,
                why=why,
                s1_mair=mair,
                stage1_on=on,
            )
        pa, combined, mem_attr, more = self._stage2(output, attributes, self.purpose)
        return Translation(
            tuple(self.reads),
            pa=pa,
            ipa=output,
            attributes=combined,
            why=why | more,
            s1_mair=mair,
            s2_attr=mem_attr,
            stage1_on=on,
        )

    # Stage 1

    def _stage1_off(self, va: int) -> tuple[int, at.Attributes, Why]:
        """Arm ARM DDI 0487, "The effects of disabling a stage of address translation"; fact C12."""
        regime = regime_of(self.registers)
        top = 55 if self._top_byte_ignored(regime, va) else 63
        pa_bits = self._pa_bits()
        if de.bits(va, top, pa_bits):
            raise _Abort(Fault.ADDRESS_SIZE, 1, 0)
        hcr = effective_hcr(self.registers)
        default_cacheable = regime is Regime.EL10 and HCR_EL2.get(hcr, "DC") == 1
        icache_on = SCTLR.get(_sctlr(self.registers, regime), "I") == 1
        why = Why.S1_OFF
        if default_cacheable:
            why |= Why.HCR_DC
        elif self.purpose is at.Purpose.FETCH and not icache_on:
            why |= Why.I_CLEAR
        attributes = at.stage1_off(
            self.purpose, default_cacheable=default_cacheable, icache_on=icache_on
        )
        return de.bits(va, pa_bits - 1, 0), attributes, why

    def _stage1(self, va: int) -> tuple[int, at.Attributes, Why, int]:
        """Arm ARM DDI 0487, "VMSAv8-64 stage 1 translation"; facts C12, C13."""
        regime = regime_of(self.registers)
        sctlr = _sctlr(self.registers, regime)
        dcache_on, icache_on = SCTLR.get(sctlr, "C") == 1, SCTLR.get(sctlr, "I") == 1
        parameters = self._stage1_parameters(regime, va)
        self._check_va(regime, parameters, va)
        walk = at.stage1_limited(
            parameters.walk, at.Purpose.WALK, dcache_on=dcache_on, icache_on=icache_on
        )
        leaf = self._walk(parameters, va, walk)
        mair = de.bits(leaf.descriptor, 4, 2)
        byte = self._mair(regime) >> 8 * mair & 0xFF
        sh = parameters.sh if parameters.ds else de.bits(leaf.descriptor, 9, 8)
        page = at.decode_mair(byte, at.decode_shareability(sh))
        limited = at.stage1_limited(page, self.purpose, dcache_on=dcache_on, icache_on=icache_on)
        why = Why.S1_PAGE
        if self.purpose is at.Purpose.FETCH:
            why |= NO_REASON if icache_on else Why.I_CLEAR
        elif isinstance(page, at.Normal):
            why |= NO_REASON if dcache_on else Why.C_CLEAR
        return leaf.output, limited, why, byte

    def _stage1_parameters(self, regime: Regime, va: int) -> _Parameters:
        """Select TTBR and TCR fields by regime and VA<55>."""
        r = self.registers
        layout = self._tcr_layout(regime)
        tcr = self._tcr(regime)
        upper = layout is TCR_TWO_RANGES and de.bits(va, 55, 55) == 1
        n = "1" if upper else "0"
        if layout is TCR_TWO_RANGES and layout.get(tcr, "EPD" + n):
            raise _Abort(Fault.TRANSLATION, 1, 0)
        granule = (de.TG1 if upper else de.TG0).get(layout.get(tcr, "TG" + n))
        if granule is None:
            raise _Abort(Fault.TRANSLATION, 1, 0)
        ttbrs = {
            Regime.EL10: (r.ttbr0_el1, r.ttbr1_el1),
            Regime.EL20: (r.ttbr0_el2, r.ttbr1_el2),
            Regime.EL2: (r.ttbr0_el2, 0),
            Regime.EL3: (r.ttbr0_el3, 0),
        }
        ds = layout.get(tcr, "DS") == 1 and self._has_lpa2(granule, stage=1)
        size = layout.get(tcr, f"T{n}SZ")
        large_va = granule is de.Granule.K64 and self._id(ID_AA64MMFR2_EL1, "VARange") >= 1
        smallest = 12 if ds or large_va else 16
        if not smallest <= size <= self._largest_txsz(granule):
            raise _Abort(Fault.TRANSLATION, 1, 0)
        return _Parameters(
            stage=1,
            granule=granule,
            input_bits=64 - size,
            start_level=de.start_level(granule, 64 - size),
            ttbr=ttbrs[regime][upper],
            ps=layout.get(tcr, "IPS" if layout is TCR_TWO_RANGES else "PS"),
            ds=ds,
            pa_bits=self._pa_bits(),
            walk=at.walk_attributes(
                layout.get(tcr, "IRGN" + n), layout.get(tcr, "ORGN" + n), layout.get(tcr, "SH" + n)
            ),
            sh=layout.get(tcr, "SH" + n),
            big_endian=SCTLR.get(_sctlr(r, regime), "EE") == 1,
            hardware_access_flag=self._has_hardware_access_flag(layout, tcr),
        )

    def _check_va(self, regime: Regime, parameters: _Parameters, va: int) -> None:
        """Arm ARM DDI 0487, "Address tagging" and "Supported virtual address ranges"."""
        top = 55 if self._top_byte_ignored(regime, va) else 63
        lsb = parameters.input_bits
        upper = self._tcr_layout(regime) is TCR_TWO_RANGES and de.bits(va, 55, 55) == 1
        beyond = de.bits(va, top, lsb)
        expected = de.bits(-1, top, lsb) if upper else 0
        if beyond != expected:
            raise _Abort(Fault.TRANSLATION, 1, 0)

    def _top_byte_ignored(self, regime: Regime, va: int) -> bool:
        """Arm ARM DDI 0487, "Address tagging": TBID exempts instruction fetches."""
        layout, tcr = self._tcr_layout(regime), self._tcr(regime)
        n = ""
        if layout is TCR_TWO_RANGES:
            n = str(de.bits(va, 55, 55))
        if not layout.get(tcr, "TBI" + n):
            return False
        return not (self.purpose is at.Purpose.FETCH and layout.get(tcr, "TBID" + n))

    # Stage 2

    def _stage2(
        self, ipa: int, stage1: at.Attributes, purpose: at.Purpose
    ) -> tuple[int, at.Attributes, int, Why]:
        """Arm ARM DDI 0487, "VMSAv8-64 stage 2 translation"; facts C12, C13."""
        hcr = effective_hcr(self.registers)
        cd, id_ = HCR_EL2.get(hcr, "CD") == 1, HCR_EL2.get(hcr, "ID") == 1
        fwb = HCR_EL2.get(hcr, "FWB") == 1
        parameters = self._stage2_parameters()
        if de.bits(ipa, 63, parameters.input_bits):
            raise _Abort(Fault.TRANSLATION, 2, 0)
        walk = at.stage2_limited(
            parameters.walk, at.Purpose.WALK, cache_disabled=cd, icache_disabled=id_
        )
        leaf = self._walk(parameters, ipa, walk)
        mem_attr = de.bits(leaf.descriptor, 5, 2)
        sh = parameters.sh if parameters.ds else de.bits(leaf.descriptor, 9, 8)
        combined = at.combine_stages(stage1, mem_attr, sh, fwb=fwb)
        is_walk = purpose is at.Purpose.WALK
        if is_walk and isinstance(combined, at.Device) and HCR_EL2.get(hcr, "PTW"):
            raise _Abort(Fault.PERMISSION, 2, leaf.level)
        if is_walk and not de.bits(leaf.descriptor, 6, 6):  # S2AP: no reads
            raise _Abort(Fault.PERMISSION, 2, leaf.level)
        limited = at.stage2_limited(combined, purpose, cache_disabled=cd, icache_disabled=id_)
        why = Why.S2_ON
        if fwb:
            why |= Why.FWB
        if purpose is at.Purpose.FETCH:
            why |= Why.HCR_ID if id_ else NO_REASON
        elif isinstance(combined, at.Normal):
            why |= Why.HCR_CD if cd else NO_REASON
        if at.cache_kind(limited) != at.cache_kind(stage1):
            why |= Why.S2_DECIDED
        return leaf.output, limited, mem_attr, why

    def _stage2_parameters(self) -> _Parameters:
        """Select VTCR_EL2 and VTTBR_EL2; refuse an initial level that does not fit the IPA size."""
        vtcr = self.registers.vtcr_el2
        granule = de.TG0.get(VTCR_EL2.get(vtcr, "TG0"))
        if granule is None:
            raise _Abort(Fault.TRANSLATION, 2, 0)
        ds = VTCR_EL2.get(vtcr, "DS") == 1 and self._has_lpa2(granule, stage=2)
        sl = VTCR_EL2.get(vtcr, "SL0")
        if ds and granule is de.Granule.K4:
            sl |= VTCR_EL2.get(vtcr, "SL2") << 2
        level = de.stage2_start_level(granule, sl)
        size = VTCR_EL2.get(vtcr, "T0SZ")
        pa_bits = self._pa_bits()
        reachable = pa_bits if ds or granule is de.Granule.K64 else min(pa_bits, 48)
        if not 64 - reachable <= size <= self._largest_txsz(granule):
            raise _Abort(Fault.TRANSLATION, 2, 0)
        if level is None or not self._stage2_level_fits(granule, level, 64 - size, ds=ds):
            raise _Abort(Fault.TRANSLATION, 2, 0)
        return _Parameters(
            stage=2,
            granule=granule,
            input_bits=64 - size,
            start_level=level,
            ttbr=self.registers.vttbr_el2,
            ps=VTCR_EL2.get(vtcr, "PS"),
            ds=ds,
            pa_bits=pa_bits,
            walk=at.walk_attributes(
                VTCR_EL2.get(vtcr, "IRGN0"), VTCR_EL2.get(vtcr, "ORGN0"), VTCR_EL2.get(vtcr, "SH0")
            ),
            sh=VTCR_EL2.get(vtcr, "SH0"),
            big_endian=SCTLR.get(self.registers.sctlr_el2, "EE") == 1,
            hardware_access_flag=self._has_hardware_access_flag(VTCR_EL2, vtcr),
        )

    def _stage2_level_fits(
        self, granule: de.Granule, level: int, input_bits: int, *, ds: bool
    ) -> bool:
        """Tell whether the initial level is implemented and resolves 1 to stride + 4 bits.

        Arm ARM DDI 0487, "Concatenated translation tables" and "VTCR_EL2", field SL0.
        """
        implemented = {
            (de.Granule.K4, 3): self._id(ID_AA64MMFR2_EL1, "ST") >= 1,
            (de.Granule.K4, 0): self._pa_bits() >= 44,
            (de.Granule.K16, 1): self._pa_bits() >= 42,
            (de.Granule.K16, 0): ds,
            (de.Granule.K64, 1): self._pa_bits() >= 44,
        }
        if not implemented.get((granule, level), True):
            return False
        index_bits = de.initial_index_bits(granule, level, input_bits)
        return 1 <= index_bits <= granule.stride + 4

    # Both stages

    def _walk(self, parameters: _Parameters, address: int, attributes: at.Attributes) -> _Leaf:
        """Read descriptors from the initial lookup down to a block or page."""
        p = parameters
        level = p.start_level
        index_bits = de.initial_index_bits(p.granule, level, p.input_bits)
        table = de.table_base(p.ttbr, index_bits, large=p.large_base)
        if de.bits(table, 55, p.output_bits):
            raise _Abort(Fault.ADDRESS_SIZE, p.stage, 0)
        while True:
            where = de.entry_address(table, p.granule, level, index_bits, address)
            descriptor = self._read(p, where, level, attributes)
            kind = de.entry_type(descriptor, p.granule, level, ds=p.ds, pa_bits=p.pa_bits)
            if kind is de.EntryType.INVALID:
                raise _Abort(Fault.TRANSLATION, p.stage, level)
            shift = p.granule if kind is de.EntryType.TABLE else de.level_shift(p.granule, level)
            output = de.entry_output(descriptor, p.granule, shift, ds=p.ds, pa_bits=p.pa_bits)
            if de.bits(output, 55, p.output_bits):
                raise _Abort(Fault.ADDRESS_SIZE, p.stage, level)
            if kind is de.EntryType.LEAF:
                break
            table = output
            index_bits = p.granule.stride
            level += 1
        if not de.bits(descriptor, 10, 10) and not p.hardware_access_flag:
            raise _Abort(Fault.ACCESS_FLAG, p.stage, level)
        return _Leaf(descriptor, level, output | de.bits(address, shift - 1, 0))

    def _read(self, p: _Parameters, where: int, level: int, attributes: at.Attributes) -> int:
        """Read a descriptor; one of stage 1 is itself translated by stage 2."""
        pa, ipa = where, None
        if p.stage == 1 and stage2_is_on(self.registers):
            ipa = where
            pa, attributes, _, _ = self._stage2(where, attributes, at.Purpose.WALK)
        data = self.memory(pa)
        if data is None:
            raise _Abort(Fault.EXTERNAL, p.stage, level)
        value = int.from_bytes(data, "big" if p.big_endian else "little")
        self.reads.append(
            TableRead(p.stage, level, pa, ipa, value, at.cache_kind(attributes)),
        )
        return value

    # What the PE and the regime have

    def _id(self, layout: Layout, name: str) -> int:
        values = {
            ID_AA64MMFR0_EL1.name: self.registers.id_aa64mmfr0,
            ID_AA64MMFR1_EL1.name: self.registers.id_aa64mmfr1,
            ID_AA64MMFR2_EL1.name: self.registers.id_aa64mmfr2,
        }
        return layout.get(values[layout.name], name)

    def _pa_bits(self) -> int:
        return ADDRESS_SIZES_BITS[self._id(ID_AA64MMFR0_EL1, "PARange")]

    def _has_lpa2(self, granule: de.Granule, *, stage: int) -> bool:
        """Arm ARM DDI 0487, "ID_AA64MMFR0_EL1", fields TGran4, TGran16, TGran4_2, TGran16_2."""
        if granule is de.Granule.K64:
            return False
        name, with_lpa2 = ("TGran4", 1) if granule is de.Granule.K4 else ("TGran16", 2)
        stage1 = self._id(ID_AA64MMFR0_EL1, name) == with_lpa2
        stage2 = self._id(ID_AA64MMFR0_EL1, name + "_2")
        return stage1 if stage == 1 or stage2 == 0 else stage2 == 3

    def _largest_txsz(self, granule: de.Granule) -> int:
        """Arm ARM DDI 0487, "Small translation tables" (FEAT_TTST)."""
        if not self._id(ID_AA64MMFR2_EL1, "ST"):
            return 39
        return 47 if granule is de.Granule.K64 else 48

    def _has_hardware_access_flag(self, layout: Layout, tcr: int) -> bool:
        return layout.get(tcr, "HA") == 1 and self._id(ID_AA64MMFR1_EL1, "HAFDBS") >= 1

    def _tcr_layout(self, regime: Regime) -> Layout:
        return TCR_TWO_RANGES if regime in (Regime.EL10, Regime.EL20) else TCR_ONE_RANGE

    def _tcr(self, regime: Regime) -> int:
        r = self.registers
        if regime is Regime.EL10:
            return r.tcr_el1
        return r.tcr_el3 if regime is Regime.EL3 else r.tcr_el2

    def _mair(self, regime: Regime) -> int:
        r = self.registers
        if regime is Regime.EL10:
            return r.mair_el1
        return r.mair_el3 if regime is Regime.EL3 else r.mair_el2
