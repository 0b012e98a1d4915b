"""Source lines from DWARF: which line an instruction is of, and files that say nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import pytest

from pocwatch.sanitizer.locate import Locator, Program, Where
from pocwatch.sanitizer.symbols import lines, load
from pocwatch.trace.records import NO_ADDRESS

COMPILER = "aarch64-linux-gnu-gcc"
CODE = """\
int shared;
void publish(int x)
{
    shared = x;
}

int main(void)
{
    publish(2);
    return shared;
}
"""


def built(folder: Path, *options: str) -> Path:
    source = folder / "src" / "code.c"
    source.parent.mkdir()
    source.write_text(CODE)
    command = [COMPILER, "-g", "-static", "-nostdlib", "-Wl,-e,main", *options, "src/code.c"]
    subprocess.run([*command, "-o", "code.elf"], cwd=folder, check=True)
    return folder / "code.elf"


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("aranges", [True, False], ids=["aranges", "unit ranges"])
def test_instructions_have_their_lines(tmp_path: Path, version: int, aranges: bool) -> None:
    elf = built(tmp_path, f"-gdwarf-{version}", "-ffunction-sections")
    if not aranges:  # as clang writes it
        subprocess.run(
            ["aarch64-linux-gnu-objcopy", "--remove-section=.debug_aranges", elf], check=True
        )
    table, symbols = lines.load(elf), load(elf)
    assert table is not None
    for name, expected in (("publish", {3, 4, 5}), ("main", {8, 9, 10, 11})):
        (span,) = symbols.ranges(name)
        found = {str(table.find(at)) for at in range(span.low, span.high, 4)}
        assert found == {f"src/code.c:{line}" for line in expected}, "relative to the build"
    assert table.find(0) is None
    assert table.find(1 << 40) is None


def test_files_outside_of_the_build_keep_their_path(tmp_path: Path) -> None:
    elf = built(tmp_path)
    (tmp_path / "build").mkdir()
    subprocess.run(
        [COMPILER, "-g", "-c", "../src/code.c", "-o", "code.o"], cwd=tmp_path / "build", check=True
    )
    table = lines.load(tmp_path / "build" / "code.o")
    assert table is not None
    assert str(table.find(0)) == f"{tmp_path}/src/code.c:3"
    assert elf.exists()


def test_files_without_lines_say_nothing(tmp_path: Path) -> None:
    elf = built(tmp_path, "-s")
    assert lines.load(elf) is None
    assert lines.load(tmp_path / "src" / "code.c") is None
    assert lines.load(tmp_path / "none") is None
    elf.write_bytes(elf.read_bytes()[:100])
    assert lines.load(elf) is None
    elf.write_bytes(b"")
    assert lines.load(elf) is None


def test_damaged_lines_say_nothing_or_something_but_never_fail(tmp_path: Path) -> None:
    good = built(tmp_path).read_bytes()
    start = good.index(b"code.c") & -64  # within the sections that DWARF is in
    random = Random(1)
    for _ in range(60):
        data = bytearray(good)
        for _ in range(8):
            data[random.randrange(start, len(data))] = random.randrange(256)
        (tmp_path / "bad.elf").write_bytes(data)
        table = lines.load(tmp_path / "bad.elf")
        if table is not None:
            for address in range(0x40_0000, 0x40_0200, 4):
                table.find(address)


def test_the_locator_knows_the_line_of_what_it_names(tmp_path: Path) -> None:
    table = load(built(tmp_path))
    address = table.address_of("publish")
    assert address is not None
    locator = Locator([Program("host", table)])
    at = Where(address, NO_ADDRESS, NO_ADDRESS, vm=False)
    assert (locator.symbol(at), str(locator.source(at))) == ("publish", "src/code.c:3")
    elsewhere = Where(0, NO_ADDRESS, NO_ADDRESS, vm=False)
    assert (locator.symbol(elsewhere), locator.source(elsewhere)) == (None, None)
