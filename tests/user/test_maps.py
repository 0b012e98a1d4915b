"""Names of a program's code from its maps, its files and its JIT's perf map."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocwatch.sanitizer.locate import Locator, Where
from pocwatch.trace.records import NO_ADDRESS
from pocwatch.user import maps

TEXT = """\
process 70
00400000-00402000 r-xp 00001000 00:02 10                                 /bin/prog
00600000-00601000 rw-p 00002000 00:02 10                                 /bin/prog
fffff7000000-fffff7002000 rwxp 00000000 00:00 0 
fffff7010000-fffff7011000 r-xs 00000000 00:01 7                          /memfd:jit (deleted)
process 71
00400000-00402000 r-xp 00001000 00:02 10                                 /bin/prog
"""  # noqa: W291


def named(pc: int, found: list[maps.Program]) -> str | None:
    return Locator(found).symbol(Where(pc, NO_ADDRESS, NO_ADDRESS, vm=False, el0=True))


def test_executable_mappings_are_read_once() -> None:
    assert maps.parse(TEXT) == [
        maps.Mapping(0x400000, 0x402000, 0x1000, "/bin/prog"),
        maps.Mapping(0xFFFFF7000000, 0xFFFFF7002000, 0, ""),
        maps.Mapping(0xFFFFF7010000, 0xFFFFF7011000, 0, "/memfd:jit (deleted)"),
    ]


def test_code_without_symbols_is_named_by_its_mapping() -> None:
    pcs = [0x400010, 0xFFFFF7000020, 0xFFFFF7010000, 0x7000_1234]
    found = maps.programs(maps.parse(TEXT), [], lambda _: None, pcs)
    assert [named(pc, found) for pc in pcs] == [
        *("prog+0x10", "[anonymous]+0x20", "memfd:jit"),
        "[anonymous]+0x234",  # unmapped before the process ended
    ]


def test_a_perf_map_comes_first_and_its_later_lines_win() -> None:
    text = (
        "fffff7000000 40 old\nnonsense\nFFFFF7000000 80 Function:^f a.js:1\n0xfffff7000100 4 stub\n"
    )
    found = maps.programs(maps.parse(TEXT), [text], lambda _: None, [0xFFFFF7000060])
    assert named(0xFFFFF7000060, found) == "Function:^f a.js:1+0x60"
    assert named(0xFFFFF7000100, found) == "stub"
    assert named(0xFFFFF7000090, found) == "[anonymous]+0x90"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "l.s").write_text(
        ".globl one\n.type one, %function\none: nop\nret\n.size one, 8\n"
        ".globl two\n.type two, %function\ntwo: ret\n.size two, 4\n"
    )
    command = ["aarch64-linux-gnu-gcc", "-nostdlib", "-shared", "-Wl,-z,separate-code"]
    subprocess.run([*command, "-o", str(folder / "l.so"), str(folder / "l.s")], check=True)
    return folder / "l.so"


def test_functions_of_a_library_lie_where_it_is_mapped(library: Path) -> None:
    listed = subprocess.run(
        ["aarch64-linux-gnu-nm", str(library)], check=True, capture_output=True, text=True
    ).stdout
    linked = next(int(line[:16], 16) for line in listed.splitlines() if line.endswith(" T two"))
    page = linked & -0x1000  # its segment begins there, and at the same offset in the file
    mapping = maps.Mapping(0xFFFFF5550000, 0xFFFFF5551000, page, "/lib/l.so")
    at = 0xFFFFF5550000 + linked - page
    find = {"/lib/l.so": library}.get
    found = maps.programs([mapping], [], find, [at])
    assert named(at, found) == "two"
    assert named(at - 4, found) == "one+0x4"
    assert [place.range.low for place in Locator(found).find("two")] == [at]
    assert len(maps.programs([mapping], [], find, None)) == 2


def test_files_without_a_wanted_pc_are_not_read() -> None:
    def find(name: str) -> Path | None:
        raise AssertionError(name)

    found = maps.programs(maps.parse(TEXT), [], find, [0xFFFFF7000020])
    assert named(0xFFFFF7000020, found) == "[anonymous]+0x20"
