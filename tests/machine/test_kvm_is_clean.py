"""Debian's kernel as KVM host and as guest, on each kind of KVM: no finding.

What differs between them is from facts B1.12 and C14, not from a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.machine

Watch = Callable[..., dict[str, Any]]

PAGE_LINES = 4096 // 64


def stage_2_cleans(watch: Watch, cpu: str) -> int:
    """What the guest costs in DC CIVAC, in pages: the same host without it is subtracted."""
    with_guest = watch(cpu, 1, "guest")["maintenance"]["dc civac"]
    alone = watch(cpu, 1, "host")["maintenance"]["dc civac"]
    return int(with_guest - alone) // PAGE_LINES


@pytest.mark.parametrize("cpu", ["neoverse-n1", "max"])
@pytest.mark.parametrize("scenario", ["host", "guest"])
def test_vhe_and_fwb_are_clean(watch: Watch, cpu: str, scenario: str) -> None:
    """nVHE is in test_demo_on_the_machine.py. No warning: the platform agrees with the CPU."""
    report = watch(cpu, 1, scenario)
    assert report["findings"] == []
    assert report["warnings"] == []


def test_two_cpus_are_clean(watch: Watch) -> None:
    report = watch("cortex-a57", 2, "host")
    assert report["findings"] == []
    assert report["warnings"] == []


def test_idc_by_clidr_saves_the_clean_to_the_pou(watch: Watch) -> None:
    """QEMU's neoverse-n1 has LoUU = LoUIS = 0: Linux then leaves DC CVAU out, but not IC IVAU."""
    maintenance = watch("neoverse-n1", 1, "host")["maintenance"]
    assert maintenance["dc cvau"] < maintenance["ic ivau"]
    without = watch("cortex-a57", 1, "host")["maintenance"]
    assert without["dc cvau"] == without["ic ivau"]


@pytest.mark.parametrize("cpu", ["cortex-a57", "neoverse-n1"])
def test_without_fwb_kvm_cleans_what_it_maps(watch: Watch, cpu: str) -> None:
    assert stage_2_cleans(watch, cpu) > 10_000


def test_with_fwb_it_does_not(watch: Watch) -> None:
    """The stage 2 forces write-back, so the guest's accesses hit the caches with its MMU off, too.

    What is left is the guest's own: patching its code, its pool for DMA.
    """
    assert stage_2_cleans(watch, "max") < 10_000 // 20


def test_with_fwb_nothing_depends_on_it(watch: Watch) -> None:
    report = watch("max", 1, "guest", "dc civac@dcache_clean_inval_poc")
    assert [f for f in report["findings"] if f["access"]["vm"]] == []


def test_a_guest_with_two_vcpus_is_clean(
    watch_command: Watch, guest_of_two: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    report = watch_command(guest_of_two)
    assert "guest CPUs: 2" in capfd.readouterr().out
    assert report["findings"] == []
