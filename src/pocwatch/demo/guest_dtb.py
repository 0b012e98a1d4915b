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
    tree = fdt.FDT()
    tree.header.version = 17
    tree.header.last_comp_version = 16
    tree.header.boot_cpuid_phys = 0

    def node(path: str, **properties: object) -> None:
        tree.get_node(path, create=True)
        for name, value in properties.items():
            # Python's names have no `-`, `#` or `,`: they are written `_`, `n_` and `__`.
            name = re.sub("^n_", "#", name).replace("__", ",").replace("_", "-")
            if value is True:
                tree.add_item(fdt.Property(name), path)
            else:
                tree.set_property(name, value, path)

    ram, initrd = layout["RAM_BASE"], layout["RAM_BASE"] + layout["INITRD_OFFSET"]
    node(
        "/",
        compatible="linux,dummy-virt",
        n_address_cells=2,
        n_size_cells=2,
        interrupt_parent=_GIC_PHANDLE,
    )
    node(
        "/chosen",
        bootargs=command_line,
        stdout_path=f"/serial@{layout['UART_BASE']:x}",
        linux__initrd_start=_cells(initrd),
        linux__initrd_end=_cells(initrd + initrd_bytes),
    )
    node(f"/memory@{ram:x}", device_type="memory", reg=_cells(ram, memory_bytes))
    node("/cpus", n_address_cells=1, n_size_cells=0)
    for index in range(vcpus):
        node(
            f"/cpus/cpu@{index}",
            device_type="cpu",
            compatible="arm,armv8",
            enable_method="psci",
            reg=index,
        )
    node("/psci", compatible=["arm,psci-1.0", "arm,psci-0.2"], method="hvc")
    # Secure and non-secure physical, virtual, and hypervisor timer.
    interrupts = [word for ppi in (13, 14, 11, 10) for word in (_PPI, ppi, _LEVEL_LOW)]
    node("/timer", compatible="arm,armv8-timer", interrupts=interrupts, always_on=True)
    node(
        f"/interrupt-controller@{layout['GICD_BASE']:x}",
        compatible="arm,gic-v3",
        n_interrupt_cells=3,
        interrupt_controller=True,
        phandle=_GIC_PHANDLE,
        reg=_cells(
            *(layout["GICD_BASE"], layout["GICD_SIZE"]),
            *(layout["GICR_BASE"], layout["GICR_SIZE"] * vcpus),
        ),
    )
    node(
        "/uart-clock",
        compatible="fixed-clock",
        n_clock_cells=0,
        clock_frequency=_UART_CLOCK_HZ,
        phandle=_CLOCK_PHANDLE,
    )
    node(
        f"/serial@{layout['UART_BASE']:x}",
        compatible=["arm,pl011", "arm,primecell"],
        reg=_cells(layout["UART_BASE"], layout["UART_SIZE"]),
        interrupts=[_SPI, layout["UART_SPI"], _LEVEL_HIGH],
        clocks=[_CLOCK_PHANDLE, _CLOCK_PHANDLE],
        clock_names=["uartclk", "apb_pclk"],
    )
    return bytes(tree.to_dtb())


def _cells(*values: int) -> list[int]:
    """Return each value as two 32-bit cells."""
    return [cell for value in values for cell in (value >> 32, value & 0xFFFFFFFF)]
