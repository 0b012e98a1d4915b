"""What the host kernel may do on its own: reclaim, merge and recycle pages, move vCPUs between PEs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocwatch.arch.ops import Op
from pocwatch.kvm import kernel, lines
from pocwatch.kvm.flags import Moves
from pocwatch.kvm.policy import Occasion
from pocwatch.kvm.scenario import Role
from pocwatch.kvm.state import Action, Slot, State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System


def _unmapped(system: System, vm: int, slot: Slot) -> list[kernel.Work]:
    occasion = Occasion(system.platform)
    return kernel.unmap(system, vm, occasion) if slot.mapped else []


@dataclass(frozen=True, slots=True)
class _SwapOut:
    def moves(self, system: System, state: State, agent: int) -> Moves:
        vm = system.agents[agent].vm
        slot = state.slots[vm]
        if system.is_locked(state) or not slot.is_resident or not slot.ran:
            return
        work = [*_unmapped(system, vm, slot), kernel.SwapOut(vm)]
        action = Action(system.names[agent], "reclaims the page")
        yield action, system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Merge:
    def moves(self, system: System, state: State, agent: int) -> Moves:
        vm = system.agents[agent].vm
        slot = state.slots[vm]
        if (
            system.is_locked(state)
            or not slot.is_resident
            or slot.shared
            or not slot.ran
            or state.scrubbed[slot.page]
        ):
            return
        work = [*_unmapped(system, vm, slot), kernel.Merge(vm)]
        if slot.mapped:
            occasion = Occasion(system.platform)
            work += kernel.change_pte(system, vm, occasion)
        action = Action(system.names[agent], "finds the page's content elsewhere (KSM)")
        yield action, system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Destroy:
    """The VM ends; its page is free for another tenant."""

    vm: int

    def moves(self, system: System, state: State, agent: int) -> Moves:
        slot = state.slots[self.vm]
        if system.is_locked(state) or not slot.exists:
            return
        work = [*_unmapped(system, self.vm, slot), kernel.Free(self.vm)]
        for number, vm in system.vm_of.items():
            if vm == self.vm:
                stopped = state.vcpus[number]._replace(running=False)
                state = system.with_vcpu(state, number, stopped)
        action = Action(system.names[agent], f"destroys VM {self.vm}")
        yield action, system.with_work(state, agent, work), True


@dataclass(frozen=True, slots=True)
class _Migrate:
    """The scheduler moves a vCPU to the other PE; a context switch contains a DSB.

    Linux: __switch_to(), "complete any pending TLB or cache maintenance on this CPU".
    """

    vcpu: int

    def moves(self, system: System, state: State, agent: int) -> Moves:
        vcpu = state.vcpus[self.vcpu]
        number, _ = next(
            (n, a)
            for n, a in enumerate(system.agents)
            if a.role is Role.VCPU and a.vcpu == self.vcpu
        )
        if system.pes < 2 or state.threads[number].work or not vcpu.running:
            return
        target = 1 - vcpu.pe
        action, state = system.act_on_all(
            state,
            agent,
            f"moves vCPU{self.vcpu} from P{vcpu.pe} to P{target}",
            "a context switch contains a dsb",
            lines.step(Op.DSB, vcpu.pe),
        )
        state = system.with_vcpu(state, self.vcpu, vcpu._replace(pe=target))
        work = (*kernel.load(system, state, self.vcpu), kernel.Enter(self.vcpu))
        yield action, system.with_work(state, number, work), True


def swap_out() -> _SwapOut:
    """Reclaim the page: unmap it, write it to the swap device, free it."""
    return _SwapOut()


def merge() -> _Merge:
    """Replace the page by a shared one of the same content (KSM)."""
    return _Merge()


def destroy(vm: int) -> _Destroy:
    """End a VM and free its page."""
    return _Destroy(vm)


def migrate(vcpu: int = 0) -> _Migrate:
    """Move a vCPU to the other PE."""
    return _Migrate(vcpu)
