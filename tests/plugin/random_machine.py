"""Random registers and translation tables, mostly valid, for comparing two walkers.

Memory is sparse: every address reads as zero (an invalid descriptor) unless something was written
there or it is a hole. Encodes descriptors by itself, so that a mistake in decoding shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from pocwatch.arch.attributes import mair_is_reserved, stage2_is_reserved
from pocwatch.arch.registers import (
    HCR_EL2,
    ID_AA64MMFR0_EL1,
    ID_AA64MMFR1_EL1,
    ID_AA64MMFR2_EL1,
    SCR_EL3,
    SCTLR,
    TCR_ONE_RANGE,
    TCR_TWO_RANGES,
    VTCR_EL2,
)
from pocwatch.arch.translation import Registers

PA_SIZES = {0: 32, 1: 36, 2: 40, 3: 42, 4: 44, 5: 48, 6: 52}
GRANULES = {12: (0b00, 0b10), 14: (0b10, 0b01), 16: (0b01, 0b11)}  # bits: (TG0, TG1)
MAIR_BYTES = [byte for byte in range(256) if not mair_is_reserved(byte)]
COMMON_MAIR_BYTES = [0xFF, 0x44, 0x00, 0x04, 0xBB, 0x0C, 0xF4, 0x4F]
MASK64 = (1 << 64) - 1


@dataclass
class Memory:
    """Physical memory: words that were written, and pages that are not there."""

    words: dict[int, int] = field(default_factory=dict)
    holes: set[int] = field(default_factory=set)

    def read(self, pa: int) -> bytes | None:
        if pa >> 16 in self.holes:
            return None
        return self.words.get(pa, 0).to_bytes(8, "little")


@dataclass
class Stage:
    """The geometry of one stage's tables."""

    granule: int
    input_bits: int
    start: int
    base: int
    output_bits: int
    pa_bits: int
    ds: bool
    big_endian: bool

    @property
    def stride(self) -> int:
        return self.granule - 3

    def shift(self, level: int) -> int:
        return self.granule + self.stride * (3 - level)

    def may_be_block(self, level: int) -> bool:
        first = {
            12: 0 if self.ds else 1,
            14: 1 if self.ds else 2,
            16: 1 if self.pa_bits == 52 else 2,
        }
        return level == 3 or first[self.granule] <= level

    def pointer(self, address: int) -> int:
        """Encode an output address."""
        if self.ds:
            return address & ((1 << 50) - 1) | (address >> 50 & 3) << 8
        if self.granule == 16 and self.pa_bits == 52:
            return address & ((1 << 48) - 1) | (address >> 48 & 0xF) << 12
        return address & ((1 << 48) - 1)


@dataclass
class Machine:
    """Registers, memory, and addresses worth translating."""

    registers: Registers
    memory: Memory
    addresses: list[int]


def random_machine(rng: Random) -> Machine:
    """Return a machine with tables for a few addresses, with mistakes in some."""
    return _Builder(rng).build()


class _Builder:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.memory = Memory()
        self.written: list[tuple[int, int]] = []  # pa, stage

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def build(self) -> Machine:
        rng = self.rng
        pa_range = rng.choice([0, 2, 4, 5, 5, 6, 6])
        self.pa_bits = PA_SIZES[pa_range]
        self.lpa2 = self.chance(0.5)
        mmfr0 = ID_AA64MMFR0_EL1.make(
            PARange=pa_range, TGran4=int(self.lpa2), TGran16=1 + int(self.lpa2)
        )
        self.lva = self.chance(0.5)
        self.ttst = self.chance(0.7)
        mmfr2 = ID_AA64MMFR2_EL1.make(VARange=int(self.lva), ST=int(self.ttst))
        hafdbs = rng.choice([0, 2])
        self.may_set_flags = hafdbs != 0  # TCR.HA is RES0 otherwise
        mmfr1 = ID_AA64MMFR1_EL1.make(HAFDBS=hafdbs)
        self.registers = Registers(id_aa64mmfr0=mmfr0, id_aa64mmfr1=mmfr1, id_aa64mmfr2=mmfr2)
        regime = rng.choice(["EL10", "EL10", "EL10", "EL10", "EL2", "EL20", "EL3"])
        has_el2 = regime in ("EL2", "EL20") or self.chance(0.8)
        has_el3 = regime == "EL3" or self.chance(0.3)
        secure = has_el3 and self.chance(0.3) and regime in ("EL10", "EL3")
        self.stage2_on = regime == "EL10" and has_el2 and not secure and self.chance(0.75)
        el = {"EL10": rng.choice([0, 1]), "EL2": 2, "EL20": rng.choice([0, 2]), "EL3": 3}[regime]
        hcr = 0
        if has_el2:
            e2h = {"EL2": 0, "EL20": 1}.get(regime, rng.choice([0, 1]))
            tge = int(regime == "EL20" and el == 0)
            hcr = HCR_EL2.make(
                E2H=e2h,
                TGE=tge,
                VM=int(self.stage2_on or (regime != "EL10" and self.chance(0.5))),
                DC=int(self.stage2_on and self.chance(0.15)),
                CD=int(self.chance(0.15)),
                ID=int(self.chance(0.15)),
                PTW=int(self.chance(0.15)),
                FWB=int(self.chance(0.5)),
            )
            if secure:
                hcr |= HCR_EL2.make(VM=1)
            if self.stage2_on and HCR_EL2.get(hcr, "DC") and self.chance(0.5):
                hcr &= ~HCR_EL2.make(VM=1)
        self.hcr = hcr
        self.registers = replace(
            self.registers,
            el=el,
            has_el2=has_el2,
            has_el3=has_el3,
            hcr_el2=hcr,
            scr_el3=SCR_EL3.make(NS=int(has_el3 and not secure)),
        )
        dc = self.stage2_on and HCR_EL2.get(hcr, "DC")
        self.stage1_on = self.chance(0.85) and not dc
        sctlr = SCTLR.make(
            M=int(self.stage1_on or (dc and self.chance(0.5))),
            C=int(self.chance(0.75)),
            I=int(self.chance(0.75)),
            EE=int(self.chance(0.1)),
        )
        ee2 = SCTLR.make(EE=int(self.chance(0.1)), M=int(self.chance(0.5)))
        if self.stage2_on:
            self.make_stage2(big_endian=bool(SCTLR.get(ee2, "EE")))
        one_range = regime in ("EL2", "EL3")
        tcr = self.make_stage1(one_range=one_range, big_endian=bool(SCTLR.get(sctlr, "EE")))
        mair = int.from_bytes(
            bytes(
                rng.choice(MAIR_BYTES if self.chance(0.5) else COMMON_MAIR_BYTES) for _ in range(8)
            ),
            "little",
        )
        suffix = {"EL10": "el1", "EL2": "el2", "EL20": "el2", "EL3": "el3"}[regime]
        values = {
            f"sctlr_{suffix}": sctlr,
            f"tcr_{suffix}": tcr,
            f"mair_{suffix}": mair,
            f"ttbr0_{suffix}": self.ttbr[0],
        }
        if suffix == "el1":
            values["sctlr_el2"] = ee2
        if not one_range:
            values[f"ttbr1_{suffix}"] = self.ttbr[1]
        self.registers = replace(self.registers, **values)
        addresses = []
        for _ in range(4):
            upper = not one_range and self.chance(0.5)
            addresses += self.make_mapping(upper=upper, one_range=one_range)
        self.spoil()
        return Machine(self.registers, self.memory, addresses)

    # Control registers

    def pick_granule(self) -> tuple[int, bool]:
        granule = self.rng.choice([12, 12, 14, 16])
        return granule, granule != 16 and self.lpa2 and self.chance(0.6)

    def pick_ps(self) -> int:
        possible = [ps for ps, size in PA_SIZES.items() if size <= self.pa_bits]
        return possible[-1] if self.chance(0.7) else self.rng.choice(range(7))

    def output_bits(self, ps: int, granule: int, ds: bool) -> int:
        size = min(PA_SIZES[ps], self.pa_bits)
        return 48 if size == 52 and granule != 16 and not ds else size

    def large(self, ps: int, granule: int, ds: bool) -> bool:
        return ds or (granule == 16 and self.pa_bits == 52 and ps == 6)

    def encode_base(self, base: int, large: bool) -> int:
        value = base & ((1 << 48) - 1)
        if large:
            value |= (base >> 48 & 0xF) << 2
        return value | self.rng.choice([0, 1]) | self.rng.getrandbits(16) << 48

    def make_stage1(self, *, one_range: bool, big_endian: bool) -> int:
        rng = self.rng
        ps = self.pick_ps()
        ds = self.chance(0.5) and self.lpa2
        fields: dict[str, int] = {"DS": int(ds), ("PS" if one_range else "IPS"): ps}
        self.stages1: list[Stage] = []
        self.ttbr = [0, 0]
        self.tbi = [False, False]
        for n in range(1 if one_range else 2):
            granule = rng.choice([12, 12, 14, 16])
            with_ds = ds and granule != 16
            smallest = 12 if with_ds or (granule == 16 and self.lva) else 16
            largest = 39 if not self.ttst else (47 if granule == 16 else 48)
            size = rng.randint(smallest, smallest + 3 if self.chance(0.2) else largest)
            bits = 64 - size
            start = 4 - -(-(bits - granule) // (granule - 3))
            output = self.output_bits(ps, granule, with_ds)
            large = self.large(ps, granule, with_ds)
            stage = Stage(granule, bits, start, 0, output, self.pa_bits, with_ds, big_endian)
            index = bits - stage.shift(start)
            align = max(index + 3, 6 if large else 0)
            reach = min(output, self.stage2.input_bits) if self.stage2_on else output
            stage.base = self.place(reach, align)
            self.ttbr[n] = self.encode_base(stage.base, large)
            self.stages1.append(stage)
            tbi = self.chance(0.4)
            self.tbi[n] = tbi
            fields |= {
                f"T{n}SZ": size,
                f"TG{n}": GRANULES[granule][n],
                f"IRGN{n}": rng.getrandbits(2),
                f"ORGN{n}": rng.getrandbits(2),
                f"SH{n}": rng.choice([0, 2, 3]),
                ("TBI" if one_range else f"TBI{n}"): int(tbi),
                ("TBID" if one_range else f"TBID{n}"): int(self.chance(0.4)),
            }
            if self.chance(0.5):
                fields[f"ORGN{n}"] = fields[f"IRGN{n}"]
            if not one_range:
                fields[f"EPD{n}"] = int(self.chance(0.05))
        fields["HA"] = int(self.may_set_flags and self.chance(0.5))
        return (TCR_ONE_RANGE if one_range else TCR_TWO_RANGES).make(**fields)

    def make_stage2(self, *, big_endian: bool) -> None:
        rng = self.rng
        granule, ds = self.pick_granule()
        ps = self.pick_ps()
        reach = self.pa_bits if ds or granule == 16 else min(self.pa_bits, 48)
        largest = 39 if not self.ttst else (47 if granule == 16 else 48)
        size = rng.randint(64 - reach, max(64 - reach, largest))
        bits = 64 - size
        stride = granule - 3
        candidates = []
        for start in range(-1, 4):
            index = bits - (granule + stride * (3 - start))
            if 1 <= index <= stride + 4:
                candidates.append(start)
        codes = {
            12: {2: 0, 1: 1, 0: 2, 3: 3, -1: 4},
            14: {3: 0, 2: 1, 1: 2, 0: 3},
            16: {3: 0, 2: 1, 1: 2},
        }[granule]
        candidates = [c for c in candidates if c in codes and (c != -1 or ds)]
        start = rng.choice(candidates)
        output = self.output_bits(ps, granule, ds)
        large = self.large(ps, granule, ds)
        stage = Stage(granule, bits, start, 0, output, self.pa_bits, ds, big_endian)
        index = bits - stage.shift(start)
        stage.base = self.place(output, max(index + 3, 6 if large else 0))
        code = codes[start]
        if self.chance(0.3 if code == 4 else 0.03):
            code = rng.getrandbits(2) | code & 4
        fields = {
            "T0SZ": size,
            "SL0": code & 3,
            "SL2": code >> 2,
            "IRGN0": rng.getrandbits(2),
            "SH0": rng.choice([0, 2, 3]),
            "TG0": GRANULES[granule][0],
            "PS": ps,
            "HA": int(self.may_set_flags and self.chance(0.5)),
            "DS": int(ds),
        }
        fields["ORGN0"] = fields["IRGN0"] if self.chance(0.6) else rng.getrandbits(2)
        self.stage2 = stage
        self.registers = replace(
            self.registers,
            vtcr_el2=VTCR_EL2.make(**fields),
            vttbr_el2=self.encode_base(stage.base, large),
        )

    # Tables

    def place(self, bits: int, align: int) -> int:
        """Pick an aligned address below 2**bits, of tables or of what they map."""
        if align >= bits:
            return 0
        high = self.rng.getrandbits(bits - align)
        if self.chance(0.5):
            high &= (1 << min(bits - align, 20)) - 1
        return high << align

    def store(self, stage_number: int, stage: Stage, pa: int, value: int) -> None:
        if stage.big_endian:
            value = int.from_bytes(value.to_bytes(8, "little"), "big")
        self.memory.words[pa] = value
        self.written.append((pa, stage_number))

    def load(self, stage: Stage, pa: int) -> int:
        value = self.memory.words.get(pa, 0)
        return int.from_bytes(value.to_bytes(8, "little"), "big") if stage.big_endian else value

    def make_mapping(self, *, upper: bool, one_range: bool) -> list[int]:
        stage = self.stages1[1 if upper else 0]
        low = self.rng.getrandbits(stage.input_bits)
        if self.chance(0.3):
            low &= 0xFFFFFF
        ones = MASK64 >> stage.input_bits << stage.input_bits if upper else 0
        va = low | ones
        if self.stage1_on:
            self.through_stage2(self.map(1, stage, low))
        elif self.chance(0.8):
            return [self.mapped_ipa()]
        if self.tbi[1 if upper else 0] or self.chance(0.03):
            va = va & ((1 << 56) - 1) | self.rng.getrandbits(8) << 56
        if self.chance(0.03):
            va ^= 1 << self.rng.randrange(64)
        near = min(stage.input_bits, 16 if self.chance(0.6) else 64)
        return [va, va ^ 1 << self.rng.randrange(near)]

    def mapped_ipa(self) -> int:
        """Return an address that means something with stage 1 off."""
        ipa = self.rng.getrandbits(self.pa_bits)
        if self.stage2_on:
            ipa &= (1 << self.stage2.input_bits) - 1
        self.through_stage2(ipa)
        return ipa

    def through_stage2(self, ipa: int) -> int:
        """Return the PA of an IPA that stage 1 uses, mapping it if need be."""
        if not self.stage2_on:
            return ipa
        return self.map(2, self.stage2, ipa & ((1 << self.stage2.input_bits) - 1))

    def map(self, number: int, stage: Stage, address: int) -> int:
        """Make entries for an input address unless there are; return the output address."""
        rng = self.rng
        table, level = stage.base, stage.start
        index_bits = stage.input_bits - stage.shift(level)
        output_bits = stage.output_bits
        if number == 1 and self.stage2_on:
            output_bits = min(output_bits, self.stage2.input_bits)
        while True:
            shift = stage.shift(level)
            index = address >> shift & ((1 << index_bits) - 1)
            where = table + 8 * index
            pa = self.through_stage2(where) if number == 1 else where
            entry = self.load(stage, pa)
            if entry & 1 == 0:
                block = self.chance(0.35 if stage.may_be_block(level) else 0.02)
                leaf = level == 3 or block
                kind = 0b11 if level == 3 or not leaf else 0b01
                target = self.place(output_bits, shift if leaf else stage.granule)
                attributes = self.attributes(number, stage) if leaf else 0
                if not leaf:
                    attributes = rng.getrandbits(5) << 59 | rng.getrandbits(6) << 2
                entry = stage.pointer(target) | kind | attributes
                self.store(number, stage, pa, entry)
            else:
                leaf = level == 3 or entry & 2 == 0
                target = self.decode(stage, entry, shift if leaf else stage.granule)
            if leaf:
                return target | address & ((1 << shift) - 1)
            table, level, index_bits = target, level + 1, stage.stride

    @staticmethod
    def decode(stage: Stage, entry: int, align: int) -> int:
        top = 50 if stage.ds else 48
        target = entry & ((1 << top) - 1) & ~((1 << align) - 1)
        if stage.ds:
            target |= (entry >> 8 & 3) << 50
        elif stage.granule == 16 and stage.pa_bits == 52:
            target |= (entry >> 12 & 0xF) << 48
        return target

    def attributes(self, number: int, stage: Stage) -> int:
        rng = self.rng
        value = int(self.chance(0.97)) << 10  # AF
        value |= rng.getrandbits(9) << 55 | rng.getrandbits(2) << 6  # software bits, AP/S2AP
        if number == 2 and self.chance(0.9):
            value |= 1 << 6  # readable
        if not stage.ds:
            value |= rng.choice([0, 2, 3]) << 8
        if number == 1:
            return value | rng.getrandbits(4) << 2 | rng.getrandbits(2) << 53
        fwb = bool(HCR_EL2.get(self.hcr, "FWB"))
        while True:
            attr = rng.getrandbits(3 if fwb else 4)
            if not stage2_is_reserved(attr, fwb=fwb):
                break
        if self.chance(0.4):
            attr = 0b111 if fwb and self.chance(0.5) else (0b110 if fwb else 0b1111)
        return value | attr << 2

    # Mistakes

    def spoil(self) -> None:
        rng = self.rng
        if self.written and self.chance(0.3):
            pa, number = rng.choice(self.written)
            bit = rng.randrange(64)
            if number == 2 and bit in range(2, 6):
                return  # could make a reserved MemAttr
            stage = self.stage2 if number == 2 else None
            flipped = self.memory.words[pa] ^ 1 << bit
            if stage is not None and stage.big_endian:
                return
            self.memory.words[pa] = flipped
        if self.written and self.chance(0.04):
            self.memory.holes.add(rng.choice(self.written)[0] >> 16)
