"""A virtio device that the device tree does not call coherent: Firecracker issue 5536 (facts B7).

The VMM emulates the device and uses guest RAM through its cacheable mapping. The guest, told nothing,
takes its DMA for non-coherent and maps the rings Non-cacheable. With `dma-coherent` in the device
tree, which was the fix, both are cacheable.
"""

from __future__ import annotations

from pocwatch.kvm import vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import Statement, seq


def _virtio(name: str, description: str, write: Statement, read: Statement) -> Scenario:
    """Return a scenario in which a request goes to the device and its answer comes back."""
    return Scenario(
        name,
        description,
        "B7; Firecracker issue 5536 (B8.84)",
        (
            a_vcpu(
                seq(
                    vcpu.run(),
                    vcpu.sctlr(m=True, c=True, i=True),
                    write,
                    signal("doorbell"),
                    wait("interrupt"),
                    read,
                )
            ),
            a_vmm(seq(wait("doorbell"), vmm.read(), vmm.write(), signal("interrupt"))),
        ),
        fetches=False,
    )


NOT_DECLARED = _virtio(
    "virtio-not-declared-coherent",
    "The guest maps the rings Non-cacheable; the VMM uses them through its caches.",
    vcpu.write_uncached(),
    vcpu.read_uncached(),
)
DECLARED = _virtio(
    "virtio-declared-coherent",
    "The same with dma-coherent in the device tree: both sides are cacheable.",
    vcpu.write(),
    vcpu.read(),
)
