"""User space resets a VM first and writes the image then; and a user space that makes up for it.

KVM's maintenance at KVM_ARM_VCPU_INIT covers what user space wrote before it (Linux 3e0e7922 assumes
that order, facts B1.12); QEMU's reset writes after it, and invalidates I-caches itself.
"""

from __future__ import annotations

from pocwatch.arch.ops import Op
from pocwatch.kvm import vcpu, vmm
from pocwatch.kvm.flags import signal, wait
from pocwatch.kvm.policies.mainline_2021 import Mainline2021
from pocwatch.kvm.policy import Occasion
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenario import vcpu as a_vcpu
from pocwatch.kvm.scenario import vmm as a_vmm
from pocwatch.kvm.script import choice, repeat, seq

LOAD_AFTER_INIT = Scenario(
    "load-after-init",
    "At a reset user space writes the new image after KVM_ARM_VCPU_INIT, not before.",
    "A21, B1.4, B1.12",
    (
        a_vmm(
            seq(
                vmm.write(),
                signal("loaded"),
                wait("down"),
                vmm.reset(),
                vmm.write(),
                signal("loaded again"),
            )
        ),
        a_vcpu(
            seq(
                wait("loaded"),
                vcpu.run(),
                choice(vcpu.read(), vcpu.fetch()),
                signal("down"),
                wait("loaded again"),
                vcpu.run(),
                repeat(choice(vcpu.read(), vcpu.fetch())),
            )
        ),
    ),
)


class MainlineAndUserSpace(Mainline2021):
    """Mainline, and user space invalidates I-caches for what it writes, as QEMU does."""

    name = "mainline-and-user-space"
    origin = "Linux v5.16; QEMU address_space_flush_icache_range()"

    def at_user_space_write(self, occasion: Occasion) -> tuple[Op, ...]:
        """What __clear_cache() does."""
        return (Op.DC_CVAU, Op.DSB, Op.IC_IVAU, Op.DSB, Op.ISB)
