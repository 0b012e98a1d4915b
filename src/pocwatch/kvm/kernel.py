"""The hypervisor's work on behalf of a vCPU or of the host, in pieces that others may run between.

Faults, notifiers and traps are lists of these pieces; whoever has such work left holds KVM's mmu_lock
(`is_locked`: what a policy has user space do is done without). What the pieces do is the same under
every policy: only the maintenance between them differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Kind, Op
from pocwatch.kvm import lines
from pocwatch.kvm.guest import Sctlr
from pocwatch.kvm.policy import Access, AtEl2, Occasion, Operation
from pocwatch.kvm.state import NOT_RESIDENT, Action, Slot, State

if TYPE_CHECKING:
    from pocwatch.kvm.system import System

Outcome = tuple[Action, State]
BARRIERS = (Op.DMB, Op.DSB, Op.ISB)
UNLOCKED = frozenset({"at_user_space_write", "at_slot_creation"})


@dataclass(frozen=True, slots=True)
class Maintain:
    """An operation of a policy's hook, with the barriers behind it; by VA: on the page of the memslot.

    An operation that is waited for takes effect at one moment before the end of its DSB, and what others
    do comes before or after that moment. So nothing is lost if both are one step.
    """

    operation: Operation
    barriers: tuple[Op, ...]
    vm: int
    hook: str

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        pe = system.pe(state, agent)
        at_el2 = isinstance(self.operation, AtEl2)
        op = self.operation.op if isinstance(self.operation, AtEl2) else self.operation
        words = [op.spelling + (" at EL2" if at_el2 else ""), *(b.spelling for b in self.barriers)]
        event = "; ".join(words)
        why = f"{system.policy.name}: {self.hook}"
        barriers = [lines.step(barrier, pe) for barrier in self.barriers]
        page = state.slots[self.vm].page
        if op in INSTRUCTION_MAINTENANCE and not system.host_reaches_icache(op, at_el2=at_el2):
            why += f"; the guest's entries in a {system.icache.name} I-cache stay"
            yield system.act_on_all(state, agent, event, why, *barriers)
        elif op not in system.BY_VA:
            if op is Op.IC_IALLUIS and Op.DSB in self.barriers:
                state = self._nothing_fetched(system, state)
            yield system.act_on_all(state, agent, event, why, lines.step(op, pe), *barriers)
        elif page == NOT_RESIDENT:
            yield system.act_on_all(state, agent, event, f"{why}: no page there", *barriers)
        else:
            first, state = system.act(state, agent, event, why, page, lines.step(op, pe))
            rest, state = system.act_on_all(state, agent, event, why, *barriers)
            yield first._replace(steps=first.steps + rest.steps), state

    def _nothing_fetched(self, system: System, state: State) -> State:
        """Return the state in which tagged I-caches hold nothing of the page, if it is execute-never.

        Nobody fetches it under the VMID before it is mapped again, whatever is written to it meanwhile.
        Linux __kvm_tlb_flush_vmid_ipa() of v5.16. Facts B1.11.
        """
        slot = state.slots[self.vm]
        if slot.executable or not system.icache.vmid_tagged:
            return state
        return system.with_slot(state, self.vm, slot._replace(fetched=False))


@dataclass(frozen=True, slots=True)
class Allocate:
    """The host kernel allocates a page for the guest and zeroes it through its linear map."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        step = lines.store(system.pe(state, agent), Kind.WB)
        why = "through the cacheable linear map"
        for page in system.free_pages(state):
            slot = state.slots[self.vm]._replace(page=page)
            after = system.with_slot(state, self.vm, slot)
            action, after = system.act(after, agent, "zeroes a new page", why, page, step)
            scrubbed = tuple(n == page or old for n, old in enumerate(after.scrubbed))
            yield action, after._replace(scrubbed=scrubbed)


@dataclass(frozen=True, slots=True)
class SwapIn:
    """The host kernel reads a page back from the swap device: coherent DMA, or a copy by a PE."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        by_pe = lines.store(system.pe(state, agent), Kind.WB)
        by_dma = lines.dma(Op.DMA_WR, coherent=True)
        for page in system.free_pages(state):
            slot = state.slots[self.vm]._replace(page=page, swapped=False)
            after = system.with_slot(state, self.vm, slot)
            yield system.act(after, agent, "swaps the page in", "copied by a PE", page, by_pe)
            yield system.act(after, agent, "swaps the page in", "by coherent DMA", page, by_dma)


@dataclass(frozen=True, slots=True)
class BreakSharing:
    """The host copies a shared page for a writer: the guest's write, or one on its behalf."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        there = state.slots[self.vm]._replace(shared=False, mapped=False)
        reads = ("copies the shared page: reads the old one", "through the linear map")
        yield from _replaced(
            system, state, agent, self.vm, there, reads, "copies the shared page to a new one"
        )


@dataclass(frozen=True, slots=True)
class Unmap:
    """The stage 2 entry is cleared, the TLBs invalidated and waited for.

    When the TLBI is complete, so are all accesses made through the entry.
    Arm ARM DDI 0487, "TLB maintenance instructions", completion.
    """

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        slot = state.slots[self.vm]
        state = system.with_executable(state, slot.page, False)
        slot = slot._replace(mapped=False, writable=False, executable=False)
        pe = system.pe(state, agent)
        others = (p for p in system.vm_pes(state, self.vm) if p != pe)
        done = [lines.step(Op.DSB, pe), *(lines.step(Op.DMB, p) for p in others)]
        action, state = system.act_on_all(
            state, agent, "clears the stage 2 entry; tlbi; dsb", "", *done
        )
        yield action, system.with_slot(state, self.vm, slot)


@dataclass(frozen=True, slots=True)
class Publish:
    """The stage 2 entry is written: from now on the guest reaches the page."""

    vm: int
    writable: bool
    executable: bool
    vcpu: int | None = None  # goes back to its guest with it

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        slot = state.slots[self.vm]
        if self.executable and not slot.fetched and system.icache.vmid_tagged:
            numbers = tuple(
                system.lines.without_fetched(n) if p == slot.page else n
                for p, n in enumerate(state.lines)
            )
            state = state._replace(lines=numbers)
        state = system.with_executable(state, slot.page, self.executable)
        slot = slot._replace(
            mapped=True,
            writable=self.writable,
            executable=self.executable,
            fetched=slot.fetched or (self.executable and system.icache.vmid_tagged),
        )
        event = f"writes the stage 2 entry (r{'w' * self.writable}{'x' * self.executable})"
        state = system.with_slot(state, self.vm, slot)
        if self.vcpu is None:
            yield Action(system.names[agent], event), state
        else:
            # One step: an ISB that comes later than it might synchronises more, never less.
            isb = lines.step(Op.ISB, state.vcpus[self.vcpu].pe)
            event += "; enters the guest"
            yield system.act_on_all(state, agent, event, "an exception return", isb)


@dataclass(frozen=True, slots=True)
class SwapOut:
    """The host kernel writes an unmapped page to the swap device, through the caches."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        slot = state.slots[self.vm]
        by_pe = lines.load(system.pe(state, agent), Kind.WB)
        by_dma = lines.dma(Op.DMA_RD, coherent=True)
        for why, step in (
            ("through the caches, as the linear map and coherent DMA do", by_pe),
            # Unlike the PE, a device does not see what the PE's maintenance would do after a DSB.
            ("by coherent DMA", by_dma),
        ):
            action, after = system.judge(
                state, agent, "swaps the page out: reads it", why, slot.page, step
            )
            if after.broken is None:
                gone = slot._replace(page=NOT_RESIDENT, swapped=True)
                after = system.with_slot(after, self.vm, gone)
            yield action, after


@dataclass(frozen=True, slots=True)
class Merge:
    """KSM replaces the guest's page by another process's page of the same content, shared."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        there = state.slots[self.vm]._replace(shared=True)
        reads = (
            "compares the page with another process's: reads it",
            "KSM, through the linear map",
        )
        merged = "merges the page with another process's of the same content"
        yield from _replaced(system, state, agent, self.vm, there, reads, merged)


@dataclass(frozen=True, slots=True)
class Free:
    """A VM's page goes back to the host's free pages."""

    vm: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        slot = state.slots[self.vm]._replace(exists=False, page=NOT_RESIDENT)
        yield Action(system.names[agent], "frees the page"), system.with_slot(state, self.vm, slot)


@dataclass(frozen=True, slots=True)
class SetSctlr:
    """A trapped write of SCTLR_EL1 takes effect; HCR_EL2.{DC, TVM} follow it."""

    vcpu: int
    sctlr: Sctlr

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        vcpu = state.vcpus[self.vcpu]
        changed = vcpu._replace(
            sctlr=self.sctlr,
            dc=vcpu.dc and not self.sctlr.m,
            tvm=not self.sctlr.caches_on if vcpu.tvm else vcpu.tvm,
        )
        notes = [
            text
            for text, differs in (
                ("HCR_EL2.DC cleared", vcpu.dc and not changed.dc),
                ("HCR_EL2.TVM cleared", vcpu.tvm and not changed.tvm),
            )
            if differs
        ]
        state = system.with_vcpu(state, self.vcpu, changed)
        yield (
            Action(system.names[agent], f"sets SCTLR_EL1 {self.sctlr}", "; ".join(notes)),
            system.warmed(state, self.vcpu),
        )


@dataclass(frozen=True, slots=True)
class TrapMmu:
    """HCR_EL2.TVM is set: from now on the guest's switching of its caches is seen."""

    vcpu: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        vcpu = state.vcpus[self.vcpu]._replace(tvm=True)
        yield (
            Action(system.names[agent], "sets HCR_EL2.TVM"),
            system.with_vcpu(state, self.vcpu, vcpu),
        )


@dataclass(frozen=True, slots=True)
class Enter:
    """The vCPU goes back to the guest: an exception return, which synchronises the context."""

    vcpu: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        pe = state.vcpus[self.vcpu].pe
        yield system.act_on_all(
            state, agent, "enters the guest", "an exception return", lines.step(Op.ISB, pe)
        )


@dataclass(frozen=True, slots=True)
class Load:
    """A vCPU comes to its PE; the context switch there contains a DSB (Linux __switch_to())."""

    vcpu: int

    def run(self, system: System, state: State, agent: int) -> Iterator[Outcome]:
        pe = state.vcpus[self.vcpu].pe
        vm = system.vm_of[self.vcpu]
        others = tuple(v for v in state.loaded[pe] if system.vm_of[v] != vm)
        loaded = (*state.loaded[:pe], (self.vcpu, *others), *state.loaded[pe + 1 :])
        yield system.act_on_all(
            state._replace(loaded=loaded),
            agent,
            f"is loaded on P{pe}",
            "a context switch contains a dsb",
            lines.step(Op.DSB, pe),
        )


def _replaced(
    system: System,
    state: State,
    agent: int,
    vm: int,
    there: Slot,
    reads: tuple[str, str],
    done: str,
) -> Iterator[Outcome]:
    """Read a VM's page and have another page of the same content take its place, in one step.

    `there` is the slot then, but for its page; `reads`, the event and its reason, is told if it is stale.
    """
    pe = system.pe(state, agent)
    load, written = lines.load(pe, Kind.WB), lines.store(pe, Kind.WB)
    action, state = system.judge(state, agent, *reads, state.slots[vm].page, load)
    if state.broken is not None:
        yield action, state
        return
    for page in system.free_pages(state):
        moved = system.with_slot(state, vm, there._replace(page=page))
        _, after = system.act(moved, agent, "", "", page, written)
        yield action._replace(event=done, steps=(*action.steps, (page, written))), after


Work = (
    Maintain
    | Allocate
    | SwapIn
    | BreakSharing
    | Unmap
    | Publish
    | SwapOut
    | Free
    | Merge
    | SetSctlr
    | TrapMmu
    | Load
    | Enter
)


def is_locked(work: object) -> bool:
    """Return whether this counts as done under the mmu_lock: all but what user space does."""
    return not (isinstance(work, Maintain) and work.hook in UNLOCKED)


def load(system: System, state: State, vcpu: int) -> tuple[Work, ...]:
    """Return what it takes to have a vCPU on its PE: nothing if it ran there last.

    Linux last_vcpu_ran, kept for each VM and PE.
    """
    vm = system.vm_of[vcpu]
    there = state.loaded[state.vcpus[vcpu].pe]
    if there[:1] == (vcpu,):
        return ()
    if all(other == vcpu or system.vm_of[other] != vm for other in there):
        return (Load(vcpu),)
    return (Load(vcpu), *hook(system, "at_vcpu_load", vm, Occasion(system.platform)))


def hook(system: System, name: str, vm: int, occasion: Occasion) -> tuple[Work, ...]:
    """Return what the policy's hook does, as work."""
    known = system.hooks.get((name, vm, occasion))
    if known is None:
        operations = system.policy.operations(name, occasion)
        known = system.hooks[name, vm, occasion] = _with_barriers(operations, vm, name)
        system.acted = system.acted or bool(known)
    return known


def _with_barriers(operations: Sequence[Operation], vm: int, name: str) -> tuple[Work, ...]:
    """Put each operation together with the barriers that follow it."""
    work: list[Maintain] = []
    for operation in operations:
        if isinstance(operation, Op) and operation in BARRIERS and work:
            last = work.pop()
            work.append(replace(last, barriers=(*last.barriers, operation)))
        else:
            work.append(Maintain(operation, (), vm, name))
    return tuple(work)


def fault(system: System, state: State, vm: int, vcpu: int, access: Access) -> tuple[Work, ...]:
    """Return what KVM does about a guest access that stage 2 does not allow: user_mem_abort."""
    slot = state.slots[vm]
    fetching = access is Access.FETCH
    occasion = Occasion(system.platform, access, state.vcpus[vcpu].sctlr.caches_on)
    work: list[Work] = []
    if not slot.is_resident:
        work += bring_in(system, slot.swapped, vm, occasion)
    if access is Access.WRITE and slot.shared:
        # The notifiers ran meanwhile, so KVM lets the guest try again (mmu_notifier_retry()).
        return (*work, *break_sharing(system, slot.mapped, vm, occasion), Enter(vcpu))
    if slot.mapped:
        executable, writable = slot.executable or fetching, slot.writable or access is Access.WRITE
        occasion = occasion._replace(executable=executable)
        work += hook(system, "at_permission_fault", vm, occasion)
    else:
        at_once = not system.choices.executable_on_fetch
        executable, writable = fetching or at_once, access is Access.WRITE or not slot.shared
        occasion = occasion._replace(executable=executable)
        work += hook(system, "at_prefetch_fault" if fetching else "at_data_fault", vm, occasion)
        work += hook(system, "at_map", vm, occasion)
    return (*work, Publish(vm, writable, executable, vcpu))


def bring_in(system: System, swapped: bool, vm: int, occasion: Occasion) -> list[Work]:
    """Return how a page comes to be behind the memslot."""
    if swapped:
        return [SwapIn(vm)]
    return [Allocate(vm), *hook(system, "at_allocation", vm, occasion)]


def change_pte(system: System, vm: int, occasion: Occasion) -> list[Work]:
    """Return how the MMU notifier maps another page, read-only, in place of one: kvm_set_spte_hva."""
    executable = not system.choices.executable_on_fetch
    occasion = occasion._replace(access=None, executable=executable)
    return [
        *hook(system, "at_change_pte", vm, occasion),
        *hook(system, "at_map", vm, occasion),
        Publish(vm, False, executable),
    ]


def break_sharing(system: System, mapped: bool, vm: int, occasion: Occasion) -> list[Work]:
    """Return how a shared page is copied for a write (wp_page_copy with its notifiers)."""
    if not mapped:
        return [BreakSharing(vm)]
    return [
        *unmap(system, vm, occasion),
        BreakSharing(vm),
        *change_pte(system, vm, occasion),
    ]


def unmap(system: System, vm: int, occasion: Occasion) -> list[Work]:
    """Return how an entry goes: cleared, TLBs invalidated, then the policy's maintenance."""
    return [Unmap(vm), *hook(system, "at_unmap", vm, occasion)]
