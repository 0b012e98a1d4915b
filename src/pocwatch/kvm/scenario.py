"""What a scenario is: agents with scripts, and the little that is given about the machine they share."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from pocwatch.kvm.script import Script


class ScenarioError(ValueError):
    """A scenario that does not make sense; the message is for its author."""


class Role(enum.Enum):
    """What an agent is."""

    VMM = "VMM"
    HOST = "host"
    VCPU = "vCPU"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody with a script. `pe` is counted modulo the machine's PEs; for vCPUs it is the first."""

    name: str
    role: Role
    script: Script
    pe: int = 0
    vm: int = 0
    vcpu: int = 0


def vmm(script: Script, *, vm: int = 0, name: str = "VMM") -> Agent:
    """Return the user-space VMM of a VM."""
    return Agent(name, Role.VMM, script, vm=vm)


def host(script: Script, *, vm: int = 0) -> Agent:
    """Return the host kernel, as far as it acts on its own."""
    return Agent("host", Role.HOST, script, vm=vm)


def vcpu(script: Script, number: int = 0, *, pe: int = 1, vm: int = 0) -> Agent:
    """Return a vCPU with what its guest does."""
    return Agent(f"vCPU{number}", Role.VCPU, script, pe, vm, number)


def device(script: Script, *, vm: int = 0) -> Agent:
    """Return a device that does DMA to guest RAM, passed through or emulated."""
    return Agent("device", Role.DEVICE, script, vm=vm)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A situation to judge policies in.

    `late_slots`: VMs whose memslot is created by a statement. `contract`: whether the guest is held to
    the architecture's contract (it may read what it wrote with other attributes only after maintenance
    of its own); without it the script itself must keep it.
    """

    name: str
    description: str
    facts: str
    agents: Sequence[Agent]
    late_slots: frozenset[int] = frozenset()
    fetches: bool = True
    contract: bool = False
    vms: int = field(init=False)
    vcpu_pes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        vcpus = sorted((a.vcpu, a.pe) for a in self.agents if a.role is Role.VCPU)
        if [number for number, _ in vcpus] != list(range(len(vcpus))):
            raise ScenarioError(
                f"scenario {self.name!r}: vCPUs are numbered {[n for n, _ in vcpus]}: "
                "it takes 0, 1, … each once"
            )
        names = [agent.name for agent in self.agents]
        if len(set(names)) != len(names):
            raise ScenarioError(f"scenario {self.name!r}: two agents have one name: {names}")
        object.__setattr__(self, "vms", 1 + max((a.vm for a in self.agents), default=0))
        object.__setattr__(self, "vcpu_pes", tuple(pe for _, pe in vcpus))
