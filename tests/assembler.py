"""The GNU assembler as independent evidence of A64 encodings."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

AS = "aarch64-linux-gnu-as"
OBJCOPY = "aarch64-linux-gnu-objcopy"


def assemble(folder: Path, lines: Iterable[str], arch: str = "armv8.6-a+memtag") -> list[int]:
    """Return the word of each line, one instruction per line, in order."""
    source, binary = folder / "source.s", folder / "binary"
    source.write_text(f".arch {arch}\n" + "".join(f"{line}\n" for line in lines))
    subprocess.run([AS, "-o", folder / "object", source], check=True)
    subprocess.run([OBJCOPY, "-O", "binary", "-j", ".text", folder / "object", binary], check=True)
    return [word for (word,) in struct.iter_unpack("<I", binary.read_bytes())]
