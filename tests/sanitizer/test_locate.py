"""Which table answers for an instruction: host, guest, KASLR, EL2 and MMU off."""

from __future__ import annotations

from pathlib import Path

import kernel_image
import pytest

from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.locate import Locator, Program, Where, parse_option, programs
from pocwatch.sanitizer.machine import parse
from pocwatch.sanitizer.rules import Place
from pocwatch.sanitizer.symbols import Range, Symbol, SymbolTable, load
from pocwatch.trace.records import NO_ADDRESS

LINK = kernel_image.LINK
HOST_LOAD = 0x4020_0000
GUEST_LOAD = 0x8020_0000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "Image"
    path.write_bytes(kernel_image.build(kernel_image.many(), new_layout=True, relocated=True))
    return path


def machine(*more: str) -> object:
    return parse(["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", *more])


def host(pc: int, pc_pa: int) -> Where:
    return Where(pc, pc_pa, NO_ADDRESS, False)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("vmlinux", ("host", None, Path("vmlinux"))),
        ("guest=a/Image", ("guest", None, Path("a/Image"))),
        ("guest@0x80200000=Image", ("guest", 0x8020_0000, Path("Image"))),
        ("/odd/a=b", ("host", None, Path("/odd/a=b"))),
    ],
)
def test_option(text: str, parsed: tuple[str, int | None, Path]) -> None:
    assert parse_option(text) == parsed


@pytest.mark.parametrize("text", ["", "guest@there=Image"])
def test_option_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--symbols"):
        parse_option(text)


def test_the_kernel_option_s_image_is_used_at_qemu_s_load_address(image: Path) -> None:
    (program,) = programs([], machine("-kernel", str(image)))
    assert (program.name, program.load, program.size) == ("host", HOST_LOAD, 0x2A0000)
    assert programs([], machine("-kernel", str(image), "-bios", "fw"))[0].load is None


def test_the_kernel_option_s_image_is_used_beside_other_programs(
    image: Path, tmp_path: Path
) -> None:
    (tmp_path / "vmm").write_text("0000000010000000 T main\n")
    given = [f"vmm={tmp_path / 'vmm'}", f"guest-boot={tmp_path / 'vmm'}"]
    names = [p.name for p in programs(given, machine("-kernel", str(image)))]
    assert names == ["vmm", "guest-boot", "host"]
    named = [p.name for p in programs([str(image)], machine("-kernel", str(image)))]
    assert named == ["host"], "once"


def test_a_kernel_without_symbols_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "bare").write_bytes(b"\0" * 100)
    assert programs([], machine("-kernel", str(tmp_path / "bare"))) == []


def test_bad_symbol_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match=r"--symbols .*photo.jpg: is neither"):
        programs([f"guest={tmp_path / 'photo.jpg'}"], machine())


def test_host_by_physical_address_under_kaslr_at_el2_and_with_the_mmu_off(image: Path) -> None:
    locator = Locator(programs([], machine("-kernel", str(image))))
    pa = HOST_LOAD + 0x2010
    for pc in (LINK + 0x2010, LINK + 0x2010 + 0x1234_0000, 0x0000_8000_4020_2010, pa):
        assert locator.symbol(host(pc, pa)) == "dcache_clean_inval_poc+0x10"


def test_host_by_va_when_the_image_does_not_cover_the_pa() -> None:
    module = SymbolTable.of(
        "t", [Symbol(0xFFFF_0000_0000_1000, "m"), Symbol(0xFFFF_0000_0000_2000, "n")]
    )
    locator = Locator([Program("host", module)])
    assert locator.symbol(host(0xFFFF_0000_0000_1008, 0x4900_0000)) == "m+0x8"
    assert locator.symbol(Where(0xFFFF_0000_0000_1008, 0x4900_0000, 0x8900_0000, True)) is None


def test_guest_at_the_load_address_given(image: Path) -> None:
    known = programs([f"guest@{GUEST_LOAD:#x}={image}"], machine())
    where = Where(GUEST_LOAD + 0x1000, 0x4A00_1000, GUEST_LOAD + 0x1000, True)
    assert Locator(known).symbol(where) == "primary_entry"
    assert Locator(known).symbol(host(GUEST_LOAD + 0x1000, 0x4A00_1000)) is None


@pytest.mark.parametrize("named", ["guest={}", "{}"])
def test_guest_load_address_found_by_content(image: Path, named: str) -> None:
    """Also when only the host's image is given: a guest often runs the same kernel."""
    _found_by_content(image, [named.format(image)])


def test_guest_runs_the_host_s_image_though_something_else_of_it_is_named(
    image: Path, tmp_path: Path
) -> None:
    (tmp_path / "stub").write_text("0000000084000000 T boot_stub\n")
    _found_by_content(image, [f"guest-boot={tmp_path / 'stub'}", str(image)])


def _found_by_content(image: Path, symbols: list[str]) -> None:
    locator = Locator(
        programs(symbols, machine()),
        code_pages={0x4A00_2000: bytearray(_patched(image.read_bytes()[0x2000:0x3000]))},
    )
    where = Where(GUEST_LOAD + 0x2010, 0x4A00_2010, GUEST_LOAD + 0x2010, True)
    locator.settle([where])
    assert locator.symbol(where) == "dcache_clean_inval_poc+0x10"
    high = Where(0xFFFF_1234_0000_1000, 0x4A00_1000, GUEST_LOAD + 0x1000, True)
    assert locator.symbol(high) == "primary_entry", "under KASLR"


def test_events_without_an_ipa_are_found_flat_and_by_the_slide_seen(image: Path) -> None:
    locator = Locator(programs([f"guest@{GUEST_LOAD:#x}={image}"], machine()))
    slide = 0x1234_0020_0000
    seen = Where(LINK + slide + 0x1000, 0x4A00_1000, GUEST_LOAD + 0x1000, True)
    locator.settle([seen])
    flat = Where(GUEST_LOAD + 0x2004, 0x4A00_2004, NO_ADDRESS, True)
    high = Where(LINK + slide + 0x2004, 0x4A00_2004, NO_ADDRESS, True)
    assert locator.symbol(flat) == locator.symbol(high) == "dcache_clean_inval_poc+0x4"


def _patched(page: bytes) -> bytes:
    return b"\x1f\x20\x03\xd5" * 100 + page[400:]  # alternatives replaced a tenth of it


def test_guest_that_runs_something_else_gets_no_names(image: Path) -> None:
    other = bytes(range(256)) * 16
    locator = Locator(programs([str(image)], machine()), code_pages={0x4A00_2000: other})
    where = Where(GUEST_LOAD + 0x2010, 0x4A00_2010, GUEST_LOAD + 0x2010, True)
    locator.settle([where])
    assert locator.symbol(where) is None


def test_rules_are_physical_where_the_load_address_is_known(image: Path) -> None:
    locator = Locator(programs([f"guest={image}"], machine("-kernel", str(image))))
    assert locator.find("dcache_clean_inval_poc") == [
        Place("pc", Range(LINK + 0x2000, LINK + 0x2040)),
        Place("pc_pa", Range(HOST_LOAD + 0x2000, HOST_LOAD + 0x2040)),
    ]
    assert locator.similar("clean_inval_po")[0] == "dcache_clean_inval_poc"


def test_a_table_knows_its_image(image: Path) -> None:
    assert len(load(image).image) == image.stat().st_size


def test_a_program_in_a_page_that_the_kernel_gave_away_is_not_the_kernel(image: Path) -> None:
    locator = Locator(programs([], machine("-kernel", str(image))))
    in_image = HOST_LOAD + 0x1000
    assert locator.symbol(Where(LINK + 0x1000, in_image, NO_ADDRESS, vm=False)) is not None
    assert locator.symbol(Where(0x40_1000, in_image, NO_ADDRESS, vm=False, el0=True)) is None
