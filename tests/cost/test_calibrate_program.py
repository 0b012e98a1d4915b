"""The program for Arm64 holds the operations that it says it measures, each with its barrier."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pocwatch.cost.calibrate import measure

COMPILER = "aarch64-linux-gnu-gcc"
# Arm ARM, "A64 system instructions for cache maintenance": SYS #3, C7, Cm, #1, Xt, with Xt = 0.
OPERATIONS = {
    "dc_cvac": 0xD50B7A20,
    "dc_cvau": 0xD50B7B20,
    "dc_civac": 0xD50B7E20,
    "ic_ivau": 0xD50B7520,
}
DSB_ISH = 0xD5033B9F
RT = 0x1F


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """The instructions of each measured loop."""
    if shutil.which(COMPILER) is None:
        pytest.fail(f"no {COMPILER}: tools/setup installs it", pytrace=False)
    program = measure.build(COMPILER, tmp_path_factory.mktemp("program"), static=True)
    found = {}
    with program.open("rb") as file:
        elf = ELFFile(file)
        text = elf.get_section_by_name(".text")
        code, start = text.data(), text["sh_addr"]
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.startswith("all_"):
                at, size = symbol["st_value"] - start, symbol["st_size"]
                found[symbol.name[4:]] = list(struct.unpack(f"<{size // 4}I", code[at : at + size]))
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_loop_does_its_operation_and_no_other(
    functions: dict[str, list[int]], name: str
) -> None:
    words = functions[name]
    done = {word & ~RT for word in words} & set(OPERATIONS.values())
    assert done == {OPERATIONS[name]}
    assert words.count(DSB_ISH) == 1


def test_the_bandwidth_loop_stores_and_cleans(functions: dict[str, list[int]]) -> None:
    words = functions["write_clean"]
    assert OPERATIONS["dc_cvac"] in {word & ~RT for word in words}
    assert any(word >> 22 in (0b1111100000, 0b1111100100) for word in words)  # STR Xt
    assert words.count(DSB_ISH) == 1


@pytest.mark.parametrize("name", ["store", "load"])
def test_preparing_maintains_nothing(functions: dict[str, list[int]], name: str) -> None:
    assert not {word & ~RT for word in functions[name]} & set(OPERATIONS.values())


@pytest.mark.skipif(not Path("/usr/aarch64-linux-gnu").is_dir(), reason="no shared libc for Arm64")
def test_it_runs_with_a_shared_libc_as_on_the_machine_itself(tmp_path: Path) -> None:
    program = measure.build(COMPILER, tmp_path, static=False)
    emulator = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
    records = measure.run([*emulator, str(program)], last_cache_kib=4, threads=1, sample_ms=1)
    cpu, *samples = records
    assert isinstance(cpu, measure.Cpu)
    assert {s.bytes for s in samples if isinstance(s, measure.Sample)} == {0, 16384}
