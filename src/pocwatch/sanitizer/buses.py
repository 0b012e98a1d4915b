"""Where the machine's bus masters are, and whether they snoop the caches: the plugin's `dma` table.

The addresses are QEMU's (hw/arm/virt.c); of a device tree that the user gives (-dtb), its own. QEMU's
own tree says `dma-coherent` of all of them; a device is coherent there as Linux sees it
(of_dma_is_coherent): by its node or one above it. Left out: sbsa-ref, platform devices that are neither
virtio-mmio nor a PCIe host bridge with ECAM, buses below others that translate addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fdt

from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.machine import Machine

_VIRTIO_MMIO, _PCIE = "virtio-mmio", "pcie"
_KINDS = {"virtio,mmio": _VIRTIO_MMIO, "pci-host-ecam-generic": _PCIE}


@dataclass(frozen=True, slots=True)
class Bus:
    """A place of registers: PA and size in bytes."""

    kind: str
    base: int
    size: int
    coherent: bool

    @property
    def line(self) -> str:
        """The bus as a line of the plugin's table."""
        how = "coherent" if self.coherent else "noncoherent"
        return f"{self.kind} {self.base:#x} {self.size:#x} {how}\n"


# Both places of the configuration space: which one there is depends on `highmem`, the other is unused.
_VIRT = (
    *(Bus(_VIRTIO_MMIO, 0x0A00_0000 + 0x200 * slot, 0x200, True) for slot in range(32)),
    Bus(_PCIE, 0x3F00_0000, 0x100_0000, True),
    Bus(_PCIE, 0x40_1000_0000, 0x1000_0000, True),
)


def of_machine(machine: Machine) -> list[Bus]:
    """Return the buses of a machine. Raises UsageError for a -dtb that is none."""
    if machine.dtb is not None:
        return of_tree(machine.dtb)
    return list(_VIRT) if machine.board == "virt" else []


def of_tree(path: str) -> list[Bus]:
    """Return the buses that a device tree names. Raises UsageError."""
    try:
        tree = fdt.parse_dtb(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"-dtb {path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # the parser's own are of many types
        raise UsageError(f"-dtb {path}: is not a device tree blob ({error})") from None
    return [bus for node in _nodes(tree.root) if (bus := _bus(node)) is not None]


def _nodes(node: fdt.Node) -> list[fdt.Node]:
    return [node, *(each for child in node.nodes for each in _nodes(child))]


def _bus(node: fdt.Node) -> Bus | None:
    compatible, reg = node.get_property("compatible"), node.get_property("reg")
    names = getattr(compatible, "data", ())
    kind = next((_KINDS[name] for name in names if name in _KINDS), None)
    if kind is None or reg is None:
        return None
    cells = _cells(node.parent, "#address-cells", 2), _cells(node.parent, "#size-cells", 1)
    base, size = _number(reg.data[: cells[0]]), _number(reg.data[cells[0] : sum(cells)])
    return Bus(kind, base, size, _coherent(node))


def _cells(node: fdt.Node, name: str, default: int) -> int:
    found = node.get_property(name)
    return default if found is None else int(found.data[0])


def _number(cells: list[int]) -> int:
    return sum(cell << 32 * place for place, cell in enumerate(reversed(cells)))


def _coherent(node: fdt.Node | None) -> bool:
    while node is not None:
        if node.get_property("dma-coherent") is not None:
            return True
        if node.get_property("dma-noncoherent") is not None:
            return False
        node = node.parent
    return False


def write(path: Path, buses: Sequence[Bus]) -> None:
    """Write the table that the plugin reads."""
    path.write_text("".join(bus.line for bus in buses))
