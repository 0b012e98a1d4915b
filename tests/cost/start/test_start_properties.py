"""What must hold for every VM and policy."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vms import MIB, priced, small

from pocwatch import platforms
from pocwatch.cost.start import record, vm
from pocwatch.cost.start.vm import PAGES, Vm
from pocwatch.kvm.policies import POLICIES

XGENE = platforms.load("xgene-l3")
APPLICABLE = [n for n, p in POLICIES.items() if p.why_not(XGENE, "boot-image") is None]


@st.composite
def vms(draw: st.DrawFn) -> Vm:
    page = draw(st.sampled_from(list(PAGES.values())))
    ram = page * draw(st.integers(1, 64))
    return Vm(
        ram,
        page,
        touched_bytes=draw(st.integers(1, ram)),
        image_bytes=draw(st.integers(1, ram)),
        vcpus=draw(st.integers(1, 8)),
    )


@settings(max_examples=60, deadline=None)
@given(vms(), st.sampled_from(APPLICABLE))
def test_dirty_and_absent_lines_are_all_lines(machine: Vm, name: str) -> None:
    for outcome in priced(name, machine):
        touched = machine.pages(machine.touched_bytes) + machine.pages(machine.image_bytes)
        assert outcome.start.typical <= outcome.total.typical
        if name == "poc-on-fault":
            counts = outcome.counts
            lines = counts.dc_poc_dirty + counts.dc_poc_absent
            assert lines == counts.dc_pou
            assert lines <= touched * machine.page_bytes // 64
        latency = outcome.latency
        assert latency is not None
        assert latency.p50.typical <= latency.p99.typical <= latency.worst.typical


@settings(max_examples=40, deadline=None)
@given(vms(), st.sampled_from(APPLICABLE))
def test_json_gives_the_outcome_back(machine: Vm, name: str) -> None:
    for outcome in priced(name, machine):
        assert record.from_json(record.to_json(outcome)) == outcome


@pytest.mark.parametrize("name", APPLICABLE)
def test_more_ram_never_costs_less(name: str) -> None:
    by_ram = [priced(name, vm.make(size << 20)) for size in (64, 128, 512, 4096, 1 << 20)]
    for smaller, larger in pairwise(by_ram):
        for before, after in zip(smaller, larger, strict=True):
            for corner in ("low", "typical", "high"):
                assert getattr(before.total, corner) <= getattr(after.total, corner) * (1 + 1e-9)


@pytest.mark.parametrize("name", APPLICABLE)
def test_more_vcpus_never_wait_less(name: str) -> None:
    worst = [priced(name, small(vcpus=n))[0].latency for n in (1, 2, 8, 40)]
    times = [latency.worst.typical for latency in worst if latency is not None]
    assert times == sorted(times)
    assert len(times) == 4


def test_the_same_question_has_the_same_answer() -> None:
    assert priced("mainline-2021") == priced("mainline-2021")


def test_touched_follows_ram() -> None:
    """48 MiB, or the image, and a 64th of RAM for struct page; never more than RAM."""
    assert vm.make(64 * MIB).touched_bytes == 49 * MIB
    assert vm.make(32 * MIB).touched_bytes == 32 * MIB
    assert vm.make(1 << 40).touched_bytes == (48 << 20) + (16 << 30)
    assert vm.make(1 << 30, image_bytes=512 * MIB).touched_bytes == 512 * MIB
