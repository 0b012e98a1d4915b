"""Devices: MMIO of the interrupt controller, and DMA to guest RAM."""

from __future__ import annotations

from pocwatch.kvm import device, vcpu
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import device as a_device
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.script import repeat, seq

VGIC_MMIO = Scenario(
    "vgic-mmio",
    "A guest with its MMU off uses the VGIC's CPU interface, which changes on its own.",
    "A10",
    (
        a_vcpu(
            seq(
                vcpu.run(),
                vcpu.mmio_write(),
                signal("written"),
                wait("changed"),
                vcpu.mmio_read(),
            )
        ),
        a_device(
            seq(
                wait("written"),
                device.look_at_register(),
                device.change_register(),
                signal("changed"),
            )
        ),
    ),
    fetches=False,
)


def _dma(name: str, description: str, facts: str, *, coherent: bool) -> Scenario:
    """Return a scenario in which a guest driver hands a buffer to a device and gets it back."""
    starts = seq() if not coherent else vcpu.sctlr(m=True, c=True, i=True)
    return Scenario(
        name,
        description,
        facts,
        (
            a_vcpu(
                seq(
                    vcpu.run(),
                    starts,
                    vcpu.write(),
                    signal("doorbell"),
                    wait("interrupt"),
                    repeat(vcpu.read()),
                )
            ),
            a_device(
                seq(
                    wait("doorbell"),
                    device.dma_read(coherent=coherent),
                    device.dma_write(coherent=coherent),
                    signal("interrupt"),
                )
            ),
        ),
        fetches=False,
    )


DMA_BOOTLOADER = _dma(
    "dma-bootloader",
    "A bootloader, its MMU off, drives a passed-through device that does not snoop; it cleans nothing.",
    "A12",
    coherent=False,
)

DMA_COHERENT = _dma(
    "dma-coherent",
    "A guest with MMU and caches on shares buffers with a device that snoops the caches.",
    "B7 (kvmtool 9a8af7e)",
    coherent=True,
)
