"""Instructions that may be modified while another PE executes them, without synchronisation.

For an instruction of this set a fetch may return the old or the new word and either is a correct
execution, if both words are of the set. Everything else needs the full sequence of fact C14.
Arm ARM DDI 0487, "Concurrent modification and execution of instructions"; fact C14.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Target(enum.Enum):
    """Where an instruction's word holds its branch target, for the one exception of the rule."""

    NONE = 0
    IMM26 = 0x03FF_FFFF
    IMM19 = 0x00FF_FFE0
    IMM14 = 0x0007_FFE0
    IMM9 = 0x0000_3FE0


@dataclass(frozen=True, slots=True)
class Encoding:
    """One A64 encoding: the words with `word & mask == match`."""

    mnemonic: str
    mask: int
    match: int
    target: Target = Target.NONE
    is_conditional: bool = False


# BC.cond (FEAT_HBC) is absent: fact C14 does not list it, and leaving a word out only reports more.
# Of the hints only NOP belongs to the set; of the barriers only ISB.
ENCODINGS: tuple[Encoding, ...] = (
    Encoding("B", 0xFC00_0000, 0x1400_0000, Target.IMM26),
    Encoding("BL", 0xFC00_0000, 0x9400_0000, Target.IMM26),
    Encoding("B.cond", 0xFF00_0010, 0x5400_0000, Target.IMM19, True),
    Encoding("CBZ", 0x7F00_0000, 0x3400_0000, Target.IMM19, True),
    Encoding("CBNZ", 0x7F00_0000, 0x3500_0000, Target.IMM19, True),
    Encoding("TBZ", 0x7F00_0000, 0x3600_0000, Target.IMM14, True),
    Encoding("TBNZ", 0x7F00_0000, 0x3700_0000, Target.IMM14, True),
    Encoding("SVC", 0xFFE0_001F, 0xD400_0001),
    Encoding("HVC", 0xFFE0_001F, 0xD400_0002),
    Encoding("SMC", 0xFFE0_001F, 0xD400_0003),
    Encoding("BRK", 0xFFE0_001F, 0xD420_0000),
    Encoding("NOP", 0xFFFF_FFFF, 0xD503_201F),
    Encoding("ISB", 0xFFFF_F0FF, 0xD503_30DF),
    Encoding("UDF", 0xFFFF_0000, 0x0000_0000),
    Encoding("TRCIT", 0xFFFF_FFE0, 0xD50B_72E0),
    # FEAT_CMPBR. The condition field cc is bits 23:21; values that are unallocated are excluded.
    *(
        Encoding(name, mask | 0x00E0_0000, match | cc << 21, Target.IMM9, True)
        for name, mask, match, conditions in (
            ("CB<cc> (register)", 0x7F00_C000, 0x7400_0000, (0, 1, 2, 3, 6, 7)),
            ("CBB<cc>", 0xFF00_C000, 0x7400_8000, (0, 1, 2, 3, 6, 7)),
            ("CBH<cc>", 0xFF00_C000, 0x7400_C000, (0, 1, 2, 3, 6, 7)),
            ("CB<cc> (immediate)", 0x7F00_4000, 0x7500_0000, (0, 1, 2, 3, 6, 7)),
        )
        for cc in conditions
    ),
)


def classify(word: int) -> Encoding | None:
    """Return the encoding of the set that a word has, None if it is not of the set.

    Arm ARM DDI 0487, "Concurrent modification and execution of instructions"; fact C14.
    """
    return next((e for e in ENCODINGS if word & e.mask == e.match), None)


def is_of_the_set(word: int) -> bool:
    """Tell whether an instruction may be executed while it is being modified.

    Arm ARM DDI 0487, "Concurrent modification and execution of instructions"; fact C14.
    """
    return classify(word) is not None


def may_be_modified_concurrently(old: int, new: int) -> bool:
    """Tell whether a PE that has not synchronised executes exactly the old or the new instruction.

    Both must be of the set. A conditional branch that becomes another one with a new condition and
    a new target may also execute as a mix of the two, so that is not enough by itself.

    Arm ARM DDI 0487, "Concurrent modification and execution of instructions"; fact C14.
    """
    before, after = classify(old), classify(new)
    if before is None or after is None:
        return False
    if not (before.is_conditional and after.is_conditional):
        return True
    same_target = _offset(before, old) == _offset(after, new)
    same_condition = old & ~before.target.value == new & ~after.target.value
    return same_target or same_condition


def _offset(encoding: Encoding, word: int) -> int:
    """Return a conditional branch's offset in instructions, as a signed number."""
    field = encoding.target.value
    lsb = (field & -field).bit_length() - 1
    width = field.bit_count()
    value = (word & field) >> lsb
    return value - (1 << width) if value >> (width - 1) else value
