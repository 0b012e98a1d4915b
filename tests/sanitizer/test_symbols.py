"""Symbol files of every form, and what is said of files that are none."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
from pathlib import Path

import kernel_image
import pytest

from pocwatch.sanitizer.symbols import Range, Symbol, SymbolError, SymbolTable, load

LINK = kernel_image.LINK
ALLSYMS = """\
ffff800008010000 T _stext
ffff800008010000 T __pi__stext
ffff800008010040 t helper
ffff800008010100 D variable
0000000000000000 A absolute
ffff800008020000 T dcache_clean_inval_poc
ffff800008020038 T after\t[module]
"""


def test_kallsyms_text(tmp_path: Path) -> None:
    (tmp_path / "kallsyms").write_text(ALLSYMS)
    table = load(tmp_path / "kallsyms")
    assert table.lookup(0xFFFF_8000_0801_0000) == "_stext"
    assert table.lookup(0xFFFF_8000_0802_0010) == "dcache_clean_inval_poc+0x10"
    assert table.lookup(0xFFFF_8000_0802_0038) is None, "nothing says where the last symbol ends"
    assert table.lookup(0x1000) is None
    assert table.ranges("dcache_clean_inval_poc") == [
        Range(0xFFFF_8000_0802_0000, 0xFFFF_8000_0802_0038)
    ]
    assert table.ranges("variable") == [], "data is no place to be executed"


def test_unprivileged_kallsyms_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("0000000000000000 T _text\n0000000000000000 T _stext\n")
    with pytest.raises(SymbolError, match="kptr_restrict"):
        load(tmp_path / "k")


def test_malformed_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("ffff800008010000 T _stext\nwhat is this\n")
    with pytest.raises(SymbolError, match=r"k:2: 'what is this'"):
        load(tmp_path / "k")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0" * 5000, b"MZ" + bytes(100)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(SymbolError, match="is neither kallsyms text, ELF nor arm64 kernel image"):
        load(tmp_path / "f")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SymbolError, match="No such file"):
        load(tmp_path / "none")


ASSEMBLY = """
.text
.globl entry
.type entry, %function
entry: nop
 nop
.size entry, 8
label: nop
.data
.globl datum
datum: .quad 0
"""


def _elf(folder: Path) -> Path:
    (folder / "a.s").write_text(ASSEMBLY)
    subprocess.run(["aarch64-linux-gnu-as", "-o", folder / "a.o", folder / "a.s"], check=True)
    linker = ["aarch64-linux-gnu-ld", "-Ttext=0x40080000", "-e", "entry"]
    subprocess.run([*linker, "-o", folder / "a.elf", folder / "a.o"], check=True)
    return folder / "a.elf"


def test_elf_functions_and_labels(tmp_path: Path) -> None:
    table = load(_elf(tmp_path))
    assert table.lookup(0x4008_0004) == "entry+0x4"
    assert table.lookup(0x4008_0008) == "label"
    assert table.ranges("entry") == [Range(0x4008_0000, 0x4008_0008)]
    assert table.ranges("datum") == []


def test_damaged_and_foreign_elf(tmp_path: Path) -> None:
    whole = _elf(tmp_path).read_bytes()
    (tmp_path / "short").write_bytes(whole[:80])
    with pytest.raises(SymbolError, match="damaged ELF"):
        load(tmp_path / "short")
    (tmp_path / "x86").write_bytes(whole[:18] + struct.pack("<H", 62) + whole[20:])
    with pytest.raises(SymbolError, match="EM_X86_64"):
        load(tmp_path / "x86")


LAYOUTS = [
    pytest.param({"new_layout": False, "relocated": True}, id="v6.1"),
    pytest.param({"new_layout": False, "relocated": True, "seqs": True}, id="v6.2"),
    pytest.param({"new_layout": True, "relocated": True, "seqs": True}, id="v6.12"),
    pytest.param({"new_layout": True, "relocated": False, "seqs": True}, id="v6.12-relr"),
    pytest.param({"new_layout": False, "relocated": True, "text_offset": 0x80000}, id="v5.4"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("text", [True, False], ids=["all", "code-only"])
def test_a_kernel_image_s_own_table(tmp_path: Path, layout: dict[str, bool], text: bool) -> None:
    symbols = kernel_image.many(text=text)
    (tmp_path / "Image").write_bytes(kernel_image.build(symbols, **layout))
    table = load(tmp_path / "Image")
    start = LINK + int(layout.get("text_offset", 0))
    assert table.base == start
    if not text:
        symbols.append((0, "T", "_text"))  # said by the image itself
    assert [
        (s.address, s.name) for s in sorted(table.symbols, key=lambda s: (s.address, s.name))
    ] == [(start + at, name) for at, _, name in sorted(symbols, key=lambda s: (s[0], s[2]))]
    assert table.lookup(start + 0x2004) == "dcache_clean_inval_poc+0x4", "not its __pi_ alias"
    assert table.lookup(start + 0x1000) == "primary_entry"


def test_compressed_images(tmp_path: Path) -> None:
    plain = kernel_image.build(kernel_image.many(), new_layout=True, relocated=True)
    (tmp_path / "gz").write_bytes(gzip.compress(plain))
    assert load(tmp_path / "gz").base == LINK
    for method, payload in (("gzip", gzip.compress(plain)), ("zstd", _zstd(plain))):
        if payload:
            head = struct.pack("<4s4sIIQ", b"MZ\0\0", b"zimg", 64, len(payload) + 4, 0)
            head += method.encode().ljust(40, b"\0")
            (tmp_path / method).write_bytes(head + payload + struct.pack("<I", len(plain)))
            assert load(tmp_path / method).base == LINK
    (tmp_path / "cut").write_bytes(gzip.compress(plain)[:100])
    with pytest.raises(SymbolError):
        load(tmp_path / "cut")


def _zstd(data: bytes) -> bytes:
    if shutil.which("zstd") is None:
        return b""
    return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout


def test_image_without_table(tmp_path: Path) -> None:
    image = bytearray(kernel_image.build(kernel_image.many(), new_layout=True, relocated=True))
    at = image.index(b"0\x001\x002\x00")
    image[at] = ord("x")
    (tmp_path / "Image").write_bytes(image)
    with pytest.raises(SymbolError, match="no kallsyms table"):
        load(tmp_path / "Image")


def test_a_table_that_contradicts_the_image_is_not_believed(tmp_path: Path) -> None:
    image = kernel_image.build(kernel_image.many(), new_layout=True, relocated=True, entry=0x1F00)
    (tmp_path / "Image").write_bytes(image)
    with pytest.raises(SymbolError, match="no kallsyms table"):
        load(tmp_path / "Image")


def test_similar_names_and_globs() -> None:
    table = SymbolTable.of(
        "t", [Symbol(0x10, "dcache_clean_poc"), Symbol(0x20, "dcache_inval_poc")]
    )
    assert table.similar("clean_poc") == ["dcache_clean_poc"]
    assert "dcache_inval_poc" in table.similar("dcache_invl_poc")
    assert [r.low for r in table.ranges("dcache_*_poc")] == [0x10, 0x20]
