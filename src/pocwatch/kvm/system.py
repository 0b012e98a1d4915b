"""The modelled system: a scenario's agents over one policy and one platform, as a model to check.

Every agent goes through its script; the host's work on behalf of one is interleaved with the others;
the caches do what they may (`lines`). A run ends with the first read that may be stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Kind, Op
from pocwatch.check.claims import Claim, always, sometimes, sometimes_step
from pocwatch.kvm import lines
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.kernel import BARRIERS, Work, is_locked
from pocwatch.kvm.lines import MAX_PES, REST, InstructionSide, Lines
from pocwatch.kvm.policy import CHOICES, Occasion, Policy
from pocwatch.kvm.scenario import Agent, Role, Scenario
from pocwatch.kvm.script import compiled
from pocwatch.kvm.state import Action, Slot, State, Thread, Vcpu, Verdict
from pocwatch.line.word import Step
from pocwatch.platforms import ICache, Platform

PAGES = 2
MMIO_PAGE = PAGES  # the line of the VGIC CPU interface's registers comes after those of RAM

NO_LEAK = "no read gets another tenant's data"
NO_STALE_READ = "no read is stale"
READS = "a read is judged"


class System:
    """The model: see `check.model.Model`. States are `state.State`, actions `state.Action`."""

    MMIO_PAGE = MMIO_PAGE
    BY_VA = frozenset(
        {*(op for op, m in DATA_MAINTENANCE.items() if m.by is By.VA), Op.IC_IVAU}
    )

    def __init__(
        self,
        scenario: Scenario,
        policy: Policy,
        platform: Platform,
        forced: Stage2 = Stage2.FORCED,
    ) -> None:
        """Join the parts. `forced`: what a forcing stage 2 entry does to fetches (facts B1.14)."""
        self.scenario = scenario
        self.policy = policy
        # FEAT_S2FWB comes with CTR_EL0.IDC, or LoUIS = LoUU = 0: docs/decisions/0007.
        self.platform = replace(platform, idc=True) if platform.stage2_forces_wb else platform
        self.choices = policy.on(platform)
        self.icache: ICache = platform.icache
        self.acted = any(
            getattr(self.choices, name) for name in CHOICES if name != "broadcasts"
        )  # set by kernel.hook as well: whether the policy makes any difference
        self._free_lines: dict[int, int] = {}
        self._free_classes: dict[tuple[int, ...], int] = {}
        self.hooks: dict[tuple[str, int, Occasion], tuple[Work, ...]] = {}  # what each hook did
        self.stage2 = forced if self.choices.forces_wb else Stage2.NORMAL
        self.pes = min(platform.pes, MAX_PES)
        self.agents: Sequence[Agent] = scenario.agents
        self.names = tuple(agent.name for agent in self.agents)
        self.vm_of = {a.vcpu: a.vm for a in self.agents if a.role is Role.VCPU}
        self.programs = tuple(compiled(agent.script) for agent in self.agents)
        fetches = InstructionSide.FOLLOWED if scenario.fetches else InstructionSide.LEFT_OUT
        self.lines = Lines(self.platform, self.pes, fetches)

    # --- What is claimed -------------------------------------------------------------------------

    @property
    def claims(self) -> Sequence[Claim[State, Action]]:
        """No stale read; and, so that this means something, every agent gets through its script."""
        ends = [
            sometimes(f"{name} gets through its script", self._at_end(n))
            for n, name in enumerate(self.names)
        ]
        return (
            always(NO_LEAK, lambda state: state.broken is not Verdict.LEAK),
            always(NO_STALE_READ, lambda state: state.broken is not Verdict.UNSAFE),
            sometimes_step(READS, lambda before, action, after: action.read is not None),
            *ends,
        )

    def _at_end(self, agent: int) -> Callable[[State], bool]:
        ends = self.programs[agent].ends

        def at_end(state: State) -> bool:
            thread = state.threads[agent]
            return thread.at in ends and not thread.work

        return at_end

    # --- Where it starts and goes ----------------------------------------------------------------

    def initial(self) -> Iterator[State]:
        """Yield the start: nothing is allocated, no vCPU has run."""
        pages = PAGES + 1
        yield State(
            lines=(REST,) * pages,
            scrubbed=(False,) * pages,
            slots=tuple(
                Slot(exists=vm not in self.scenario.late_slots) for vm in range(self.scenario.vms)
            ),
            vcpus=tuple(self.fresh_vcpu(pe % self.pes) for pe in self.scenario.vcpu_pes),
            loaded=((),) * self.pes,
            threads=(Thread(0),) * len(self.agents),
        )

    def fresh_vcpu(self, pe: int) -> Vcpu:
        """Return a vCPU on a PE with its registers as at power-on, and HCR_EL2 as the policy sets it."""
        dc = self.choices.default_cacheable
        return Vcpu(pe=pe, dc=dc, tvm=dc or self.choices.traps_mmu)

    def actions(self, state: State) -> Iterator[tuple[Action, State]]:
        """Yield every step of every agent; one with work left goes on with that."""
        if state.broken is not None:
            return
        for agent, thread in enumerate(state.threads):
            if thread.work:
                yield from self._continue(state, agent, thread)
            else:
                for statement, after in self.programs[agent].edges[thread.at]:
                    for action, later, done in statement.moves(self, state, agent):
                        if done:
                            moved = later.threads[agent]._replace(at=after)
                            later = self._with_thread(later, agent, moved)
                        yield action, later

    def canonical(self, state: State) -> State:
        """Return one state for all that differ only in what cannot be told apart from now on.

        Physical pages may change places: the first VM's page, or else another VM's, comes first. Of a
        free page only what is left of its line after the write that comes with an allocation matters.
        """
        taken = [slot.page for slot in state.slots if slot.is_resident]
        numbers, scrubbed = list(state.lines), list(state.scrubbed)
        for page in range(PAGES):
            if page not in taken:
                numbers[page] = self._free_line(numbers[page])
                scrubbed[page] = False
        slots = state.slots
        first = taken[0] if taken else min(range(PAGES), key=numbers.__getitem__)
        if first != 0:
            numbers[0], numbers[1] = numbers[1], numbers[0]
            scrubbed[0], scrubbed[1] = scrubbed[1], scrubbed[0]
            slots = tuple(
                slot._replace(page=1 - slot.page) if slot.is_resident else slot for slot in slots
            )
        elif tuple(numbers) == state.lines and tuple(scrubbed) == state.scrubbed:
            return state  # the usual case, and this is called for every transition
        return state._replace(lines=tuple(numbers), scrubbed=tuple(scrubbed), slots=slots)

    def _free_line(self, number: int) -> int:
        """Return the line that stands for all which the next allocation makes the same.

        A line on which barriers still act stands for itself.
        """
        known = self._free_lines.get(number)
        if known is None:
            after = self.lines.after
            pes = range(self.pes)
            barriers = (lines.step(op, pe) for op in BARRIERS for pe in pes)
            known = number
            if all(after(number, barrier) == number for barrier in barriers):
                writes = [lines.store(pe, Kind.WB) for pe in pes] + [lines.dma(Op.DMA_WR, coherent=True)]
                key = tuple(after(number, write) for write in writes)
                known = self._free_classes.setdefault(key, number)
            self._free_lines[number] = known
        return known

    def _continue(
        self, state: State, agent: int, thread: Thread
    ) -> Iterator[tuple[Action, State]]:
        work: Work = thread.work[0]  # type: ignore[assignment]
        rest = self._with_thread(state, agent, thread._replace(work=thread.work[1:]))
        yield from work.run(self, rest, agent)

    def is_locked(self, state: State) -> bool:
        """Return whether somebody holds the mmu_lock."""
        return any(thread.work and is_locked(thread.work[0]) for thread in state.threads)

    def with_work(self, state: State, agent: int, work: Sequence[Work]) -> State:
        """Return the state in which the kernel has this to do for the agent."""
        return self._with_thread(state, agent, state.threads[agent]._replace(work=tuple(work)))

    @staticmethod
    def _with_thread(state: State, agent: int, thread: Thread) -> State:
        threads = state.threads
        return state._replace(threads=(*threads[:agent], thread, *threads[agent + 1 :]))

    # --- What happens to lines -------------------------------------------------------------------

    def act(
        self, state: State, agent: int, event: str, why: str, page: int, *steps: Step
    ) -> tuple[Action, State]:
        """Let the caches of one page see these steps."""
        number = state.lines[page]
        for step in steps:
            number = self.lines.after(number, step)
        numbers = (*state.lines[:page], number, *state.lines[page + 1 :])
        state = state._replace(lines=numbers)
        if any(step.op in (Op.ST, Op.DMA_WR) for step in steps) and state.scrubbed[page]:
            scrubbed = tuple(old and n != page for n, old in enumerate(state.scrubbed))
            state = state._replace(scrubbed=scrubbed)
        told = tuple((page, step) for step in steps)
        return Action(self.names[agent], event, why, told), state

    def act_on_all(
        self, state: State, agent: int, event: str, why: str, *steps: Step
    ) -> tuple[Action, State]:
        """Let the caches of every page see these steps: barriers, set/way, whole caches.

        Maintenance that passes by a free page is left out: it only takes away what caches may do.
        """
        after = self.lines.after
        numbers = list(state.lines)
        free = self.free_pages(state)
        told = []
        for step in steps:
            for page, number in enumerate(numbers):
                if page not in free or step.op in BARRIERS:
                    numbers[page] = after(number, step)
                    told.append((page, step))
        action = Action(self.names[agent], event, why, tuple(told))
        return action, state._replace(lines=tuple(numbers))

    def judge(
        self, state: State, agent: int, event: str, why: str, page: int, step: Step
    ) -> tuple[Action, State]:
        """Let somebody read the page; a read that may be stale breaks the run.

        Fetches are only judged if instruction caches are followed.
        """
        if step.op is Op.IF and self.lines.instructions is InstructionSide.LEFT_OUT:
            return self.act(state, agent, event, why, page, step)
        verdict = self.lines.verdict(state.lines[page], step)
        leaks = state.scrubbed[page]
        action, state = self.act(state, agent, event, why, page, step)
        if verdict != "fresh":
            state = state._replace(broken=Verdict.LEAK if leaks else Verdict.UNSAFE)
        return action._replace(read=verdict), state

    # --- Small questions -------------------------------------------------------------------------

    def pe(self, state: State, agent: int) -> int:
        """Return the PE that an agent, or the kernel on its behalf, runs on."""
        who = self.agents[agent]
        return state.vcpus[who.vcpu].pe if who.role is Role.VCPU else who.pe % self.pes

    def vm_pes(self, state: State, vm: int) -> list[int]:
        """Return the PEs of a VM's vCPUs."""
        mine = {a.vcpu for a in self.agents if a.role is Role.VCPU and a.vm == vm}
        return sorted({state.vcpus[vcpu].pe for vcpu in mine})

    def host_reaches_icache(self, op: Op, *, at_el2: bool) -> bool:
        """Return whether the host's instruction maintenance reaches what the guest fetched.

        By VA, a VIPT cache may hold the page at the guest's VA under another index, and tagged caches
        under another VMID; a VPIPT cache obeys even IALLU only for the current VMID.
        Facts A23, B1.11, C14.
        """
        if self.icache is ICache.PIPT or (self.icache is ICache.VPIPT and at_el2):
            return True
        return op is not Op.IC_IVAU and self.icache is not ICache.VPIPT

    def free_pages(self, state: State) -> list[int]:
        """Return the physical pages that no memslot has: an allocation may take any of them."""
        used = {slot.page for slot in state.slots}
        return [page for page in range(PAGES) if page not in used]

    def with_executable(self, state: State, page: int, by_guests: bool) -> State:
        """Return the state in which guests may, or no longer may, execute from a page."""
        numbers = tuple(
            self.lines.executable(number, by_guests) if n == page else number
            for n, number in enumerate(state.lines)
        )
        return state._replace(lines=numbers)

    @staticmethod
    def with_slot(state: State, vm: int, slot: Slot) -> State:
        """Return the state with another memslot of a VM."""
        return state._replace(slots=(*state.slots[:vm], slot, *state.slots[vm + 1 :]))

    @staticmethod
    def with_vcpu(state: State, number: int, vcpu: Vcpu) -> State:
        """Return the state with another vCPU of that number."""
        return state._replace(vcpus=(*state.vcpus[:number], vcpu, *state.vcpus[number + 1 :]))

    def warmed(self, state: State, vcpu: int) -> State:
        """Note that a VM's caches have been on, if this vCPU's are."""
        vm = self.vm_of[vcpu]
        slot = state.slots[vm]
        if not self.scenario.contract or slot.warm or not state.vcpus[vcpu].sctlr.caches_on:
            return state
        return self.with_slot(state, vm, slot._replace(warm=True))
