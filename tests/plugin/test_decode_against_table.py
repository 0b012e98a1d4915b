"""The plugin's decoder knows the DC and IC instructions of `arch.sysinsn`, and no others."""

from __future__ import annotations

import ctypes
from random import Random

import pytest
from decoder import decode

from pocwatch.arch.ops import Op
from pocwatch.arch.sysinsn import SYSTEM_INSTRUCTIONS, decode_system_instruction

# enum pw_class
NONE, DC_VA, DC_SW, DC_ZVA, IC_VA, IC_ALL, TLBI = 0, 1, 2, 3, 4, 5, 8
CLASSES = {
    Op.DC_CSW: DC_SW,
    Op.DC_CISW: DC_SW,
    Op.DC_ISW: DC_SW,
    Op.DC_ZVA: DC_ZVA,
    Op.IC_IVAU: IC_VA,
    Op.IC_IALLU: IC_ALL,
    Op.IC_IALLUIS: IC_ALL,
}


@pytest.mark.parametrize("instruction", SYSTEM_INSTRUCTIONS, ids=lambda i: i.spelling)
def test_c5_every_instruction_is_classified(plugin: ctypes.CDLL, instruction: object) -> None:
    given = decode(plugin, instruction.encode(5))
    if instruction.spelling.startswith("tlbi"):
        assert given.class_ == TLBI
    elif instruction.op is None:
        assert given.class_ == NONE
    else:
        assert given.class_ == CLASSES.get(instruction.op, DC_VA)
        assert given.op == instruction.op
        assert given.rt == 5


def test_no_other_system_instruction_is_taken_for_one(plugin: ctypes.CDLL) -> None:
    rng = Random(1)
    for _ in range(20_000):
        crn = rng.choice((7, 8))
        word = 0xD508_0000 | rng.getrandbits(19) & ~0xF000 | crn << 12
        known = decode_system_instruction(word)
        if crn == 7 and (known is None or known.op is None):
            assert decode(plugin, word).class_ == NONE, hex(word)
