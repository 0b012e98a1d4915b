"""Linux's own drivers with their devices: clean in both modes, and caught without maintenance.

Four disks at once: virtio-blk on MMIO (split ring) and on PCI (packed ring), NVMe, and SATA on AHCI.
Without `dma-coherent` in the device tree Linux maps its rings Non-cacheable and does maintenance for
every buffer, in `dcache_clean_poc` and `dcache_inval_poc`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import driver_machine
import pytest

from pocwatch.demo import machine
from pocwatch.demo.machine import Machine
from pocwatch.report import json as report_json
from pocwatch.sanitizer import launch
from pocwatch.sanitizer.launch import Options

pytestmark = pytest.mark.machine

Report = dict[str, Any]
NAMES = ["AHCI at PCI", "NVMe at PCI", "virtio-blk at 0xa00", "virtio-blk at PCI"]
LINES = 4 * 65536 // 64  # of one part that is read or written


@pytest.fixture(scope="module")
def boot(
    plugin_path: Path,
    prepared: Machine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Report]:
    """Boot the machine, once for each set of arguments: `boot(coherent, *drop)`."""
    folder = tmp_path_factory.mktemp("drivers")
    busybox = (prepared.kernel.parent / "busybox").read_bytes()
    made = driver_machine.prepare(
        folder, machine.default_cache_dir(), busybox, machine.RELEASE
    )

    @functools.cache
    def run(coherent: bool, *drop: str) -> Report:
        options = Options(command=made.command(coherent=coherent), drop=drop)
        report = report_json.data(launch.run(launch.plan(options), lambda _: None))
        assert report["complete"], report["failure"]
        return report

    return run


def caused(report: Report) -> list[Report]:
    """The findings that a rule is to blame for."""
    return [
        finding
        for finding in report["findings"]
        if any(event["rule"] for event in finding["history"])
    ]


@pytest.mark.parametrize("coherent", [True, False], ids=["coherent", "non-coherent"])
def test_the_drivers_of_linux_are_clean(boot: Callable[..., Report], coherent: bool) -> None:
    report = boot(coherent)
    assert report["findings"] == []
    devices = sorted(report["devices"], key=lambda device: device["name"])
    assert [device["name"][: len(name)] for device, name in zip(devices, NAMES, strict=True)] == NAMES
    for device in devices:
        assert device["coherent"] is coherent
        assert device["lines_read"] > LINES, device  # the part written, and commands
        assert device["lines_written"] > 2 * LINES, device  # the part read, twice
    maintenance = report["maintenance"]
    both = maintenance.get("dc cvac", 0), maintenance["dc ivac"]
    assert (min(both) > 4 * LINES) is not coherent


def test_without_cleaning_devices_read_stale_memory(boot: Callable[..., Report]) -> None:
    found = caused(boot(False, "dc *@dcache_clean_poc"))
    reads = [finding["access"] for finding in found if finding["kind"] == "dma-stale-read"]
    assert {access["op"] for access in reads} == {"rd"}
    assert {access["device"][:8] for access in reads} == {name[:8] for name in NAMES}
    assert all(access["agent"][0] == "D" and access["stack"] for access in reads)


def test_without_cleaning_what_devices_wrote_is_lost(boot: Callable[..., Report]) -> None:
    """A dirty line that is written back later: facts C16."""
    found = caused(boot(False, "dc *@dcache_clean_poc"))
    lost = [finding for finding in found if finding["kind"] == "lost-write"]
    assert lost
    assert {finding["writer"]["op"] for finding in lost} == {"wr"}
    assert all(finding["writer"]["device"] for finding in lost)


def test_without_invalidation_the_cpu_reads_stale_copies(boot: Callable[..., Report]) -> None:
    """What is filled during the transfer: facts C16."""
    found = caused(boot(False, "dc *@dcache_inval_poc"))
    by_devices = [f for f in found if f["kind"] == "stale-read" and f["writer"].get("device")]
    assert by_devices
    assert {finding["writer"]["agent"][0] for finding in by_devices} == {"D"}


def test_the_driver_is_named(
    prepared: Machine, watch_command: Callable[..., Report], tmp_path: Path
) -> None:
    """The NVMe driver of the demonstration's kernel is built in: its names are in the image."""
    tree = driver_machine.tree_without_coherence(tmp_path)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(driver_machine.DISK_BYTES))
    words = [
        *prepared.qemu_args(scenario="host"),
        *("-dtb", str(tree), "-device", "nvme,drive=d,serial=1"),
        *("-drive", f"file={disk},format=raw,if=none,id=d,snapshot=on"),
    ]
    words[words.index("-M") + 1] = driver_machine.MACHINE[1]
    report = watch_command(words, "dc *@dcache_clean_poc")
    reads = [f["access"] for f in caused(report) if f["kind"] == "dma-stale-read"]
    assert reads
    for access in reads:
        names = {frame["symbol"].split("+")[0] for frame in access["stack"] if frame["symbol"]}
        assert access["symbol"].split("+")[0] == "nvme_queue_rq"
        assert "blk_mq_dispatch_rq_list" in names
