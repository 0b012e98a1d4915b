"""Where bus masters are and whether they snoop: by the board, or by the tree that the user gives."""

from __future__ import annotations

from pathlib import Path

import fdt
import pytest

from pocwatch.sanitizer import buses, machine
from pocwatch.sanitizer.errors import UsageError

WORDS = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"]


def tree(path: Path, *, on_bus: bool = False, on_node: bool = False) -> Path:
    """A tree of one virtio-mmio device, below a bus, and a PCIe host bridge."""
    made = fdt.FDT()
    made.header.version, made.header.last_comp_version, made.header.boot_cpuid_phys = 17, 16, 0
    for where, properties in {
        "/": {"#address-cells": 2, "#size-cells": 2},
        "/soc": {"#address-cells": 1, "#size-cells": 1, "compatible": "simple-bus"},
        "/soc/virtio@a000000": {
            "compatible": ["vendor,first", "virtio,mmio"],
            "reg": [0x0A00_0000, 0x200],
        },
        "/pcie@4010000000": {
            "compatible": "pci-host-ecam-generic",
            "reg": [0x40, 0x1000_0000, 0, 0x1000_0000],
        },
    }.items():
        made.get_node(where, create=True)
        for name, value in properties.items():
            made.set_property(name, value, where)
    for wanted, where in ((on_bus, "/soc"), (on_node, "/pcie@4010000000")):
        if wanted:
            made.add_item(fdt.Property("dma-coherent"), where)
    path.write_bytes(bytes(made.to_dtb()))
    return path


def test_virt_has_its_own_which_all_snoop() -> None:
    found = buses.of_machine(machine.parse(WORDS))
    assert [bus.kind for bus in found].count("virtio-mmio") == 32
    assert found[31].base == 0x0A00_3E00
    assert [bus.base for bus in found if bus.kind == "pcie"] == [0x3F00_0000, 0x40_1000_0000]
    assert all(bus.coherent for bus in found)


@pytest.mark.parametrize(
    ("on_bus", "on_node", "coherent"),
    [(False, False, [False, False]), (True, False, [True, False]), (False, True, [False, True])],
)
def test_a_tree_says_who_snoops_also_above_the_node(
    tmp_path: Path, on_bus: bool, on_node: bool, coherent: list[bool]
) -> None:
    path = tree(tmp_path / "dtb", on_bus=on_bus, on_node=on_node)
    found = sorted(
        buses.of_machine(machine.parse([*WORDS, "-dtb", str(path)])), key=lambda bus: bus.base
    )
    assert [(bus.kind, bus.base, bus.size) for bus in found] == [
        ("virtio-mmio", 0x0A00_0000, 0x200),
        ("pcie", 0x40_1000_0000, 0x1000_0000),
    ]
    assert [bus.coherent for bus in found] == coherent


def test_the_line_is_what_the_plugin_reads() -> None:
    assert buses.Bus("pcie", 0x10, 0x20, False).line == "pcie 0x10 0x20 noncoherent\n"


def test_a_tree_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dtb"
    with pytest.raises(UsageError, match=r"-dtb .*dtb: cannot be read"):
        buses.of_tree(str(path))
    path.write_bytes(b"no tree")
    with pytest.raises(UsageError, match="is not a device tree blob"):
        buses.of_tree(str(path))


@pytest.mark.parametrize(
    "more", [["-M", "virt,iommu=smmuv3"], ["-device", "virtio-iommu-pci"]], ids=["smmu", "virtio"]
)
def test_an_iommu_is_noticed(more: list[str]) -> None:
    assert machine.parse([*WORDS, *more]).iommu
    assert not machine.parse(WORDS).iommu
