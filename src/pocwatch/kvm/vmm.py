"""What the user-space VMM may do: write and read guest RAM through its cacheable mapping, set up the VM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocwatch.arch.ops import Kind
from pocwatch.kvm import kernel, lines
from pocwatch.kvm.flags import Moves
from pocwatch.kvm.policy import Occasion
from pocwatch.kvm.scenario import Role
from pocwatch.kvm.state import OWED_FETCHES, Action, Owed, State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System


@dataclass(frozen=True, slots=True)
class _Write:
    offset: int

    def moves(self, system: System, state: State, agent: int) -> Moves:
        vm = system.agents[agent].vm
        slot = state.slots[vm]
        if not slot.exists:
            return
        if not slot.is_resident or slot.shared:
            yield from bring_in(system, state, agent)
            return
        what = "its neighbour in the line" if self.offset else "guest RAM"
        step = lines.store(system.pe(state, agent), Kind.WB, self.offset)
        action, state = system.act(
            state, agent, f"writes {what}", "user space's mapping is cacheable", slot.page, step
        )
        if system.scenario.contract and not self.offset:
            # Before the VM runs, KVM answers for what it sees; later the VMM is a coherent device.
            owed = slot.owed | Owed.NC | OWED_FETCHES if slot.ran else Owed.NONE
            state = system.with_slot(state, vm, slot._replace(owed=owed & ~(Owed.WB | Owed.VMM)))
        occasion = Occasion(system.platform)
        work = kernel.hook(system, "at_user_space_write", vm, occasion)
        yield action, system.with_work(state, agent, work), True


def bring_in(system: System, state: State, agent: int) -> Moves:
    """Let the host kernel put a page of its own behind an address that user space touches."""
    if system.is_locked(state):
        return
    vm = system.agents[agent].vm
    slot = state.slots[vm]
    occasion = Occasion(system.platform)
    if slot.is_resident:
        work = kernel.break_sharing(system, slot.mapped, vm, occasion)
    else:
        work = kernel.bring_in(system, slot.swapped, vm, occasion)
    action = Action(system.names[agent], "touches guest RAM: a page fault of its own")
    yield action, system.with_work(state, agent, work), False


@dataclass(frozen=True, slots=True)
class _Read:
    def moves(self, system: System, state: State, agent: int) -> Moves:
        slot = state.slots[system.agents[agent].vm]
        if not slot.exists or (system.scenario.contract and slot.owed & Owed.VMM):
            return
        if not slot.is_resident:
            yield from bring_in(system, state, agent)
            return
        step = lines.load(system.pe(state, agent), Kind.WB)
        why = "user space's mapping is cacheable"
        yield *system.judge(state, agent, "reads guest RAM", why, slot.page, step), True


@dataclass(frozen=True, slots=True)
class _CreateSlot:
    def moves(self, system: System, state: State, agent: int) -> Moves:
        vm = system.agents[agent].vm
        slot = state.slots[vm]._replace(exists=True)
        work = kernel.hook(system, "at_slot_creation", vm, Occasion(system.platform))
        action = Action(system.names[agent], "creates a memslot")
        yield action, system.with_work(system.with_slot(state, vm, slot), agent, work), True


@dataclass(frozen=True, slots=True)
class _Reset:
    """KVM_ARM_VCPU_INIT of every vCPU of a VM that ran: registers as at power-on."""

    def moves(self, system: System, state: State, agent: int) -> Moves:
        if system.is_locked(state):
            return
        vm = system.agents[agent].vm
        slot = state.slots[vm]
        for other in system.agents:
            if other.role is Role.VCPU and other.vm == vm:
                fresh = system.fresh_vcpu(state.vcpus[other.vcpu].pe)
                state = system.with_vcpu(state, other.vcpu, fresh)
        state = system.with_slot(state, vm, slot._replace(warm=False, owed=Owed.NONE))
        occasion = Occasion(system.platform)
        work: list[kernel.Work] = []
        if slot.mapped:
            if system.choices.unmaps_at_reset:
                work += kernel.unmap(system, vm, occasion)
            work += kernel.hook(system, "at_reset", vm, occasion)
        action = Action(system.names[agent], "resets the VM (KVM_ARM_VCPU_INIT)")
        yield action, system.with_work(state, agent, work), True


def write() -> _Write:
    """Write the followed cell of guest RAM."""
    return _Write(0)


def write_neighbour() -> _Write:
    """Write another cell of the same cache line."""
    return _Write(lines.NEIGHBOUR)


def read() -> _Read:
    """Read guest RAM; judged."""
    return _Read()


def create_slot() -> _CreateSlot:
    """Create the VM's memslot."""
    return _CreateSlot()


def reset() -> _Reset:
    """Reset the VM."""
    return _Reset()
