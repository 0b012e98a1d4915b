"""The guest's device tree says what layout.h says, and Linux finds what it looks for."""

from __future__ import annotations

import shutil
import subprocess

import fdt
import pytest

from pocwatch.demo import guest_dtb

LAYOUT = guest_dtb.read_layout()


def build(vcpus: int = 1) -> bytes:
    return guest_dtb.build(
        LAYOUT,
        memory_bytes=128 << 20,
        initrd_bytes=4097,
        vcpus=vcpus,
        command_line="console=ttyAMA0",
    )


def test_the_layout_is_read_from_the_c_header() -> None:
    assert LAYOUT["UART_BASE"] == 0x09000000
    assert LAYOUT["VCPUS_MAX"] == 8
    assert all(LAYOUT[f"{device}_BASE"] % 0x1000 == 0 for device in ("GICD", "GICR", "UART", "RAM"))


def test_memory_and_initrd() -> None:
    tree = fdt.parse_dtb(build())
    memory = tree.get_node(f"/memory@{LAYOUT['RAM_BASE']:x}")
    assert memory.get_property("device_type").value == "memory"
    assert list(memory.get_property("reg")) == [0, LAYOUT["RAM_BASE"], 0, 128 << 20]
    chosen = tree.get_node("/chosen")
    start = list(chosen.get_property("linux,initrd-start"))
    end = list(chosen.get_property("linux,initrd-end"))
    assert start == [0, LAYOUT["RAM_BASE"] + LAYOUT["INITRD_OFFSET"]]
    assert end == [0, start[1] + 4097]
    assert chosen.get_property("bootargs").value == "console=ttyAMA0"


def test_each_vcpu_has_a_node_and_a_redistributor() -> None:
    tree = fdt.parse_dtb(build(vcpus=3))
    assert [node.name for node in tree.get_node("/cpus").nodes] == ["cpu@0", "cpu@1", "cpu@2"]
    gic = tree.get_node(f"/interrupt-controller@{LAYOUT['GICD_BASE']:x}")
    assert list(gic.get_property("reg"))[-1] == 3 * LAYOUT["GICR_SIZE"]


def test_the_console_is_the_uart() -> None:
    tree = fdt.parse_dtb(build())
    path = tree.get_node("/chosen").get_property("stdout-path").value
    uart = tree.get_node(path)
    assert uart.get_property("reg")[1] == LAYOUT["UART_BASE"]
    assert list(uart.get_property("interrupts")) == [0, LAYOUT["UART_SPI"], 4]


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed")
def test_dtc_reads_it() -> None:
    subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "null"], input=build(), check=True)
