"""A machine of eleven instructions that shows all of `run` at work: it must have one finding.

It calls a function, writes over the function's first instruction without any maintenance, calls it
again and powers off. The instruction cache may still have the old instruction: facts C1, C14.
"""

from __future__ import annotations

import struct
from pathlib import Path

KIND = "stale-fetch"
SECONDS = 30.0  # takes well under one
_ADDRESS = 0x4020_0000  # RAM of `virt`, behind the device tree that QEMU puts at its start
_FUNCTION = 0x40

# As `aarch64-linux-gnu-as` has it; a test assembles the text of each word.
PROGRAM: tuple[tuple[int, str], ...] = (
    (0x94000010, "bl .+0x40"),  # the function
    (0x100001E0, "adr x0, .+0x3c"),  # the function
    (0x180000A1, "ldr w1, .+0x14"),  # the new instruction
    (0xB9000001, "str w1, [x0]"),
    (0x9400000C, "bl .+0x30"),  # the function
    (0x18000060, "ldr w0, .+0xc"),  # PSCI SYSTEM_OFF
    (0xD4000002, "hvc #0"),
    (0xD2800022, "mov x2, #1"),  # the new instruction
    (0x84000008, ".inst 0x84000008"),  # PSCI SYSTEM_OFF (Arm DEN 0022)
)
FUNCTION: tuple[tuple[int, str], ...] = ((0xD2800062, "mov x2, #3"), (0xD65F03C0, "ret"))


def image() -> bytes:
    """Return the program as it lies in memory: the function is in a line of its own."""
    words = [word for word, _ in PROGRAM]
    filler = [0] * (_FUNCTION // 4 - len(words))
    words = [*words, *filler, *(word for word, _ in FUNCTION)]
    return struct.pack(f"<{len(words)}I", *words)


def command(program: str, file: Path) -> list[str]:
    """Return the QEMU command that runs the image in a file."""
    quiet = ("-nodefaults", "-display", "none", "-serial", "none", "-monitor", "none")
    loader = f"loader,file={file},addr={_ADDRESS:#x},cpu-num=0,force-raw=on"
    machine = ("-M", "virt", "-cpu", "cortex-a57", "-m", "16M", "-no-reboot")
    return [program, *machine, *quiet, "-device", loader]
