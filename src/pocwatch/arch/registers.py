"""Fields of the registers that decide translation and caching, and what CTR and CLIDR say.

Only the fields that pocwatch reads are listed. Layouts are those of the AArch64 registers of the
Arm ARM DDI 0487, chapter "AArch64 System Register Descriptions".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """A register's fields: name to (most, least significant bit)."""

    name: str
    fields: dict[str, tuple[int, int]]

    def get(self, value: int, field: str) -> int:
        """Return a field of a register value; KeyError for a name the layout does not have."""
        msb, lsb = self.fields[field]
        return value >> lsb & (1 << (msb - lsb + 1)) - 1

    def make(self, **values: int) -> int:
        """Return the register value with these fields set and all others 0."""
        result = 0
        for field, value in values.items():
            msb, lsb = self.fields[field]
            if value >> (msb - lsb + 1):
                raise ValueError(
                    f"{self.name}.{field} was given {value:#x} but takes {msb - lsb + 1} bits"
                )
            result |= value << lsb
        return result


SCTLR = Layout(
    "SCTLR_ELx",
    {
        "M": (0, 0),  # stage 1 enabled
        "C": (2, 2),  # data accesses and walks cacheable
        "I": (12, 12),  # instruction fetches cacheable
        "EE": (25, 25),  # descriptors are big-endian
    },
)
# Regimes with two VA ranges: TCR_EL1, and TCR_EL2 when HCR_EL2.E2H == 1.
TCR_TWO_RANGES = Layout(
    "TCR_EL1",
    {
        "T0SZ": (5, 0),
        "EPD0": (7, 7),
        "IRGN0": (9, 8),
        "ORGN0": (11, 10),
        "SH0": (13, 12),
        "TG0": (15, 14),
        "T1SZ": (21, 16),
        "EPD1": (23, 23),
        "IRGN1": (25, 24),
        "ORGN1": (27, 26),
        "SH1": (29, 28),
        "TG1": (31, 30),
        "IPS": (34, 32),
        "TBI0": (37, 37),
        "TBI1": (38, 38),
        "HA": (39, 39),
        "TBID0": (51, 51),
        "TBID1": (52, 52),
        "DS": (59, 59),
    },
)
# Regimes with one VA range: TCR_EL3, and TCR_EL2 when HCR_EL2.E2H == 0.
TCR_ONE_RANGE = Layout(
    "TCR_EL2",
    {
        "T0SZ": (5, 0),
        "IRGN0": (9, 8),
        "ORGN0": (11, 10),
        "SH0": (13, 12),
        "TG0": (15, 14),
        "PS": (18, 16),
        "TBI": (20, 20),
        "HA": (21, 21),
        "TBID": (29, 29),
        "DS": (32, 32),
    },
)
VTCR_EL2 = Layout(
    "VTCR_EL2",
    {
        "T0SZ": (5, 0),
        "SL0": (7, 6),
        "IRGN0": (9, 8),
        "ORGN0": (11, 10),
        "SH0": (13, 12),
        "TG0": (15, 14),
        "PS": (18, 16),
        "HA": (21, 21),
        "DS": (32, 32),
        "SL2": (33, 33),
    },
)
HCR_EL2 = Layout(
    "HCR_EL2",
    {
        "VM": (0, 0),
        "SWIO": (1, 1),
        "PTW": (2, 2),
        "FB": (9, 9),
        "DC": (12, 12),
        "TSW": (22, 22),
        "TPCP": (23, 23),
        "TPU": (24, 24),
        "TVM": (26, 26),
        "TGE": (27, 27),
        "CD": (32, 32),
        "ID": (33, 33),
        "E2H": (34, 34),
        "FWB": (46, 46),
    },
)
CTR_EL0 = Layout(
    "CTR_EL0",
    {
        "IminLine": (3, 0),  # log2 of words
        "L1Ip": (15, 14),  # 0b10 VIPT, 0b11 PIPT
        "DminLine": (19, 16),  # log2 of words
        "ERG": (23, 20),
        "CWG": (27, 24),
        "IDC": (28, 28),
        "DIC": (29, 29),
        "TminLine": (37, 32),
    },
)
CLIDR_EL1 = Layout(
    "CLIDR_EL1",
    {
        "Ctype1": (2, 0),
        "Ctype2": (5, 3),
        "Ctype3": (8, 6),
        "LoUIS": (23, 21),
        "LoC": (26, 24),
        "LoUU": (29, 27),
    },
)
ID_AA64MMFR0_EL1 = Layout(
    "ID_AA64MMFR0_EL1",
    {
        "PARange": (3, 0),
        "TGran16": (23, 20),  # 1: supported, 2: with 52-bit addresses (FEAT_LPA2)
        "TGran64": (27, 24),  # 0: supported, 0xf: not
        "TGran4": (31, 28),  # 0: supported, 1: with 52-bit addresses, 0xf: not
        "TGran16_2": (35, 32),  # stage 2; 0: as stage 1, 1: not, 2: supported, 3: 52-bit
        "TGran4_2": (43, 40),
    },
)
ID_AA64MMFR1_EL1 = Layout("ID_AA64MMFR1_EL1", {"HAFDBS": (3, 0)})
ID_AA64MMFR2_EL1 = Layout("ID_AA64MMFR2_EL1", {"VARange": (19, 16), "ST": (31, 28)})
SCR_EL3 = Layout("SCR_EL3", {"NS": (0, 0), "EEL2": (18, 18)})

# Address sizes in bits by TCR_ELx.{I}PS and ID_AA64MMFR0_EL1.PARange; 7 is reserved.
ADDRESS_SIZES_BITS = (32, 36, 40, 42, 44, 48, 52, 52)

_WORD_SIZE_BYTES = 4


def idc(ctr: int, clidr: int) -> bool:
    """Tell whether writing instructions needs no data cache clean to the PoU.

    True also where nothing must be cleaned up to the PoU: LoC == 0, or LoUIS == LoUU == 0.

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register" and "Data cache maintenance instructions";
    Linux derives it alike. Facts C8, C14.
    """
    if CTR_EL0.get(ctr, "IDC"):
        return True
    if CLIDR_EL1.get(clidr, "LoC") == 0:
        return True
    return CLIDR_EL1.get(clidr, "LoUIS") == 0 and CLIDR_EL1.get(clidr, "LoUU") == 0


def dic(ctr: int) -> bool:
    """Tell whether writing instructions needs no instruction cache invalidation to the PoU.

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register"; fact C14 (RWNDVG).
    """
    return CTR_EL0.get(ctr, "DIC") == 1


def data_line_size_bytes(ctr: int) -> int:
    """Return the smallest line of all data and unified caches, a safe stride of DC by VA.

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register"; facts C6, C14.
    """
    return _WORD_SIZE_BYTES << CTR_EL0.get(ctr, "DminLine")


def instruction_line_size_bytes(ctr: int) -> int:
    """Return the smallest line of all instruction caches, a safe stride of IC by VA.

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register"; facts C6, C14.
    """
    return _WORD_SIZE_BYTES << CTR_EL0.get(ctr, "IminLine")


def write_back_granule_bytes(ctr: int) -> int:
    """Return the most that an eviction may write back; 2 KiB where CTR_EL0 does not say.

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register", field CWG; facts C3, C6.
    """
    cwg = CTR_EL0.get(ctr, "CWG")
    return _WORD_SIZE_BYTES << cwg if cwg else 2048


def instruction_cache_aliases(ctr: int) -> bool:
    """Tell whether IC IVAU may leave aliases of another VA index behind (a VIPT instruction cache).

    Arm ARM DDI 0487, "CTR_EL0, Cache Type Register", field L1Ip; fact C14 (RLYZYY).
    """
    return CTR_EL0.get(ctr, "L1Ip") == 0b10
