"""Sizes, VMs and assumptions that cannot be are refused, named exactly."""

from __future__ import annotations

import pytest

from pocwatch import platforms
from pocwatch.cost import model
from pocwatch.cost.start import assumptions, option, sizes, vm
from pocwatch.cost.start.boot import Boot
from pocwatch.cost.start.errors import BenchError
from pocwatch.kvm.policies import POLICIES


@pytest.mark.parametrize(
    ("text", "size"), [("4K", 4096), ("2m", 2 << 20), ("1G", 1 << 30), ("1T", 1 << 40), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert sizes.parse(text, "x") == size


def test_sizes_are_shown_as_they_are_written() -> None:
    assert [sizes.show(n) for n in (4096, 3 << 20, 1 << 40, 1 << 30, 1536 << 20, 100)] == [
        "4K", "3M", "1T", "1G", "1536M", "100",
    ]  # fmt: skip


def test_ranges_double_and_lists_are_sorted() -> None:
    assert sizes.parse_many("64M..1T", "x") == [1 << n for n in range(26, 41)]
    assert sizes.parse_many("4G,1G,1G", "x") == [1 << 30, 1 << 32]
    assert sizes.parse_many("1G..3G", "x") == [1 << 30, 2 << 30, 3 << 30]


@pytest.mark.parametrize("text", ["-4K", "0", "4X", "", "1.5G", "K", "999999T", "4 K"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BenchError, match=r"--page is .*: accepted are whole numbers above 0"):
        sizes.parse(text, "--page")


def test_ranges_that_go_down() -> None:
    with pytest.raises(BenchError, match=r"'4G\.\.1G': accepted are ranges that go up"):
        sizes.parse_many("4G..1G", "--guest-ram")


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("page 1G is larger than guest RAM 512M", (512 << 20, 1 << 30)),
        ("guest RAM 1536M is no multiple of page 1G", (1536 << 20, 1 << 30)),
        ("page is 8K: accepted are 4K, 16K, 64K, 2M, 1G", (1 << 30, 8192)),
    ],
)
def test_pages_that_cannot_be(said: str, arguments: tuple[int, int]) -> None:
    with pytest.raises(BenchError, match=said):
        vm.make(*arguments)


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("touched 2G is larger than guest RAM 1G", {"touched_bytes": 2 << 30}),
        ("image 2G is larger than guest RAM 1G", {"image_bytes": 2 << 30}),
        ("touched is 0: accepted are sizes above 0", {"touched_bytes": 0}),
        ("vcpus is 0: accepted are 1 to 512", {"vcpus": 0}),
        ("vcpus is -1: accepted are 1 to 512", {"vcpus": -1}),
    ],
)
def test_vms_that_cannot_be(said: str, more: dict[str, int]) -> None:
    with pytest.raises(BenchError, match=said):
        vm.make(1 << 30, **more)  # type: ignore[arg-type]


def test_assumptions_have_reasons_and_can_be_changed() -> None:
    assert set(assumptions.REASONS) == set(assumptions.Assumptions.__dataclass_fields__)
    changed = assumptions.changed(["early_bytes=8M", "loads=0", "set_way_loops=2"])
    assert (changed.early_bytes, changed.loads, changed.set_way_loops) == (8 << 20, 0, 2)
    for wrong in ("nothing=1", "loads"):
        with pytest.raises(BenchError, match="accepted are NAME=VALUE with a name of booted_bytes"):
            assumptions.changed([wrong])
    for wrong in ("loads=-1", "touched_per_fetched=0"):
        with pytest.raises(BenchError, match="accepted are whole numbers above 0"):
            assumptions.changed([wrong])


def test_set_way_loops_are_priced_if_assumed() -> None:
    source = Boot(assumptions.changed(["set_way_loops=1"]))
    platform, machine = platforms.load("xgene-l3"), vm.make(64 << 20)
    (outcome,) = option.outcomes(
        POLICIES["mainline-2021"], platform, model.load(), source, machine, 0
    )
    (step,) = [s for s in outcome.steps if s.hooks == ("at_set_way_trap",)]
    assert step.counts.traps_tsw == 4608
    assert step.counts.dc_poc_dirty + step.counts.dc_poc_absent == 49 * 16384


def test_lines_must_be_the_same() -> None:
    from dataclasses import replace

    platform = replace(platforms.load("xgene-l3"), dminline_bytes=128)
    with pytest.raises(BenchError, match="lines of 64 bytes, platform 'xgene-l3' of 128"):
        option.outcomes(POLICIES["none"], platform, model.load(), Boot(), vm.make(1 << 30), 0)
