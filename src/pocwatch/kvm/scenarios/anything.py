"""Every agent does anything that its contract allows, for ever.

The guest's contract is the architecture's: after a write with one kind of attributes it reads with
another, or executes, only after maintenance of its own; only while its caches have never been on may it
take them to be empty. The VMM's contract is KVM's: what it writes before the first run is there for
every guest, later it is a coherent device.
"""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm import host, vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import host as a_host
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import choice, repeat, seq

_GUEST = repeat(
    choice(
        vcpu.run(),
        vcpu.read(),
        vcpu.write(),
        vcpu.read_uncached(),
        vcpu.write_uncached(),
        vcpu.write_neighbour(),
        vcpu.fetch(),
        vcpu.synchronise(),
        vcpu.maintain(Op.DC_CISW),
        vcpu.sctlr(),
        vcpu.sctlr(m=True),
        vcpu.sctlr(m=True, c=True, i=True),
    )
)

ANYTHING = Scenario(
    "anything",
    "User space, host and guest do, for ever, whatever their contracts allow.",
    "A5, A17 to A22, B1",
    (
        a_vmm(
            seq(
                repeat(choice(vmm.write(), vmm.write_neighbour())),
                signal("loaded"),
                repeat(choice(vmm.write(), vmm.read(), vmm.reset())),
            )
        ),
        a_host(repeat(choice(host.swap_out(), host.merge()))),
        a_vcpu(seq(wait("loaded"), _GUEST)),
    ),
    contract=True,
)
