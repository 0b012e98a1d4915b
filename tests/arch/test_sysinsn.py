"""The table of System instructions against the assembler."""

from __future__ import annotations

from pathlib import Path

from assembler import assemble

from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE
from pocwatch.arch.sysinsn import SYSTEM_INSTRUCTIONS, decode_system_instruction


def test_every_encoding_is_what_the_assembler_makes(tmp_path: Path) -> None:
    lines = [f"{i.spelling}{', x7' if i.takes_address else ''}" for i in SYSTEM_INSTRUCTIONS]
    words = assemble(tmp_path, lines)
    assert words == [i.encode(7) if i.takes_address else i.encode() for i in SYSTEM_INSTRUCTIONS]


def test_encodings_are_distinct_and_decode_back() -> None:
    for instruction in SYSTEM_INSTRUCTIONS:
        for rt in (0, 7, 31):
            assert decode_system_instruction(instruction.encode(rt)) is instruction
    assert decode_system_instruction(0xD503_201F) is None


def test_every_maintenance_operation_has_an_instruction() -> None:
    named = {i.op for i in SYSTEM_INSTRUCTIONS}
    assert set(DATA_MAINTENANCE) | INSTRUCTION_MAINTENANCE <= named
