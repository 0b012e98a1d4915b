"""The device tree that tells the guest of the machine that the VMM makes (vmm/layout.h).

Bindings: Linux Documentation/devicetree/bindings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

import fdt

_SPI, _PPI = 0, 1
_LEVEL_HIGH, _LEVEL_LOW = 4, 8
_GIC_PHANDLE, _CLOCK_PHANDLE = 1, 2
_UART_CLOCK_HZ = 24_000_000

Value = str | int | list[str] | list[int] | None
"""What a property holds: strings, 32-bit cells, or nothing."""


def read_layout() -> dict[str, int]:
    """Return the constants of vmm/layout.h."""
    text = (resources.files("pocwatch.demo") / "vmm" / "layout.h").read_text()
    found = re.findall(r"^#define (\w+) (0x[0-9a-f]+|\d+)\b", text, re.MULTILINE)
    return {name: int(value, 0) for name, value in found}


def build(
    layout: Mapping[str, int],
    *,
    memory_bytes: int,
    initrd_bytes: int,
    vcpus: int = 1,
    command_line: str,
) -> bytes:
    """Return the device tree blob."""
    ram, initrd = layout["RAM_BASE"], layout["RAM_BASE"] + layout["INITRD_OFFSET"]
    gicd, gicr, uart = layout["GICD_BASE"], layout["GICR_BASE"], layout["UART_BASE"]
    # Secure physical, non-secure physical, virtual and hypervisor timer.
    timers = [word for ppi in (13, 14, 11, 10) for word in (_PPI, ppi, _LEVEL_LOW)]
    nodes: dict[str, dict[str, Value]] = {
        "/": {
            "compatible": "linux,dummy-virt",
            "#address-cells": 2,
            "#size-cells": 2,
            "interrupt-parent": _GIC_PHANDLE,
        },
        "/chosen": {
            "bootargs": command_line,
            "stdout-path": f"/serial@{uart:x}",
            "linux,initrd-start": _cells(initrd),
            "linux,initrd-end": _cells(initrd + initrd_bytes),
        },
        f"/memory@{ram:x}": {"device_type": "memory", "reg": _cells(ram, memory_bytes)},
        "/cpus": {"#address-cells": 1, "#size-cells": 0},
    }
    for index in range(vcpus):
        nodes[f"/cpus/cpu@{index}"] = {
            "device_type": "cpu",
            "compatible": "arm,armv8",
            "enable-method": "psci",
            "reg": index,
        }
    nodes |= {
        "/psci": {"compatible": ["arm,psci-1.0", "arm,psci-0.2"], "method": "hvc"},
        "/timer": {"compatible": "arm,armv8-timer", "interrupts": timers, "always-on": None},
        f"/interrupt-controller@{gicd:x}": {
            "compatible": "arm,gic-v3",
            "#interrupt-cells": 3,
            "interrupt-controller": None,
            "phandle": _GIC_PHANDLE,
            "reg": _cells(gicd, layout["GICD_SIZE"], gicr, layout["GICR_SIZE"] * vcpus),
        },
        "/uart-clock": {
            "compatible": "fixed-clock",
            "#clock-cells": 0,
            "clock-frequency": _UART_CLOCK_HZ,
            "phandle": _CLOCK_PHANDLE,
        },
        f"/serial@{uart:x}": {
            "compatible": ["arm,pl011", "arm,primecell"],
            "reg": _cells(uart, layout["UART_SIZE"]),
            "interrupts": [_SPI, layout["UART_SPI"], _LEVEL_HIGH],
            "clocks": [_CLOCK_PHANDLE, _CLOCK_PHANDLE],
            "clock-names": ["uartclk", "apb_pclk"],
        },
    }
    return _blob(nodes)


def _cells(*values: int) -> list[int]:
    """Return each value as two 32-bit cells."""
    return [cell for value in values for cell in (value >> 32, value & 0xFFFFFFFF)]


def _blob(nodes: Mapping[str, Mapping[str, Value]]) -> bytes:
    tree = fdt.FDT()
    tree.header.version = 17
    tree.header.last_comp_version = 16
    tree.header.boot_cpuid_phys = 0
    for path, properties in nodes.items():
        tree.get_node(path, create=True)
        for name, value in properties.items():
            if value is None:
                tree.add_item(fdt.Property(name), path)
            else:
                tree.set_property(name, value, path)
    return bytes(tree.to_dtb())
