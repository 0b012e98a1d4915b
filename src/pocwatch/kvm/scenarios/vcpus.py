"""What several vCPUs, PEs and mappings of one page make of it."""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm import device, host, vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import device as a_device
from pocwatch.kvm.scenario import host as a_host
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import choice, repeat, seq

ALL_ON = vcpu.sctlr(m=True, c=True, i=True)

SECOND_VCPU_MMU_OFF = Scenario(
    "second-vcpu-mmu-off",
    "A vCPU with its caches on touches the page first; another, its MMU off, then reads it.",
    "A19, B1.8",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_vcpu(seq(wait("loaded"), vcpu.run(), ALL_ON, vcpu.read(), signal("up")), number=0),
        a_vcpu(seq(wait("up"), vcpu.run(), repeat(vcpu.read())), number=1, pe=0),
    ),
    fetches=False,
)

GUEST_NC_MAPPING = Scenario(
    "guest-nc-mapping",
    "With MMU and caches on, the guest reads and writes the page through a Non-cacheable mapping.",
    "A19, B1.7, B1.8",
    (
        a_vmm(seq(vmm.write(), signal("loaded"))),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                ALL_ON,
                repeat(choice(vcpu.read_uncached(), vcpu.write_uncached())),
            )
        ),
    ),
    fetches=False,
)

VCPU_MIGRATION = Scenario(
    "vcpu-migration",
    "A guest that knows one CPU writes data and code, with local maintenance, while it is moved about.",
    "HCR_EL2.FB: C5; __switch_to(): C9",
    (
        a_host(repeat(host.migrate())),
        a_vcpu(
            seq(
                vcpu.run(),
                ALL_ON,
                choice(
                    # Twice and more: the first fetch faults, and KVM's own maintenance comes with it.
                    repeat(
                        vcpu.write(),
                        vcpu.maintain(Op.DC_CVAU),
                        vcpu.barrier(Op.DSB),
                        vcpu.maintain(Op.IC_IALLU),
                        vcpu.barrier(Op.DSB),
                        vcpu.barrier(Op.ISB),
                        vcpu.fetch(),
                    ),
                    seq(
                        vcpu.write(),
                        vcpu.maintain(Op.DC_CVAC),
                        vcpu.barrier(Op.DSB),
                        signal("ready"),
                    ),
                ),
            )
        ),
        a_device(seq(wait("ready"), device.dma_read(coherent=False))),
    ),
)

ICACHE_ISOLATION = Scenario(
    "icache-isolation",
    "Two vCPUs share a PE; one writes code and executes it, the other fetches with its MMU off.",
    "B1.14; 01dc9262ff57 (B8.2)",
    (
        a_vcpu(
            seq(
                vcpu.run(),
                ALL_ON,
                # Again and again: the first fetch faults, and KVM's own maintenance comes with it.
                repeat(
                    vcpu.write(),
                    vcpu.maintain(Op.DC_CVAU),
                    vcpu.barrier(Op.DSB),
                    vcpu.maintain(Op.IC_IVAU),
                    vcpu.barrier(Op.DSB),
                    vcpu.barrier(Op.ISB),
                    vcpu.fetch(),
                ),
            ),
            number=0,
        ),
        a_vcpu(seq(vcpu.run(), repeat(vcpu.speculate())), number=1),
    ),
)
