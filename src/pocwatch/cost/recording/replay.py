"""What each cleaning policy of `pocwatch check` would have done in a recorded run: all in one pass.

The recorded guest is taken as it was: which page it used when, how, with its caches on or off, which
registers it wrote. From that follows what a policy's hypervisor would have seen:

- a guest's first use of a page, or of a stage 2 block of the recorded size, is a translation fault; the
  page is allocated then, unless user space wrote it before;
- a later first fetch is a permission fault if the policy chose `executable_on_fetch`;
- a write that stage 2 refused in the recorded run would have been refused, too;
- trapped register writes are those that the recorded hypervisor trapped (HCR_EL2.TVM), up to the
  moment when the policy stops trapping. If it did not trap, what a policy that does would see is not
  known;
- a TLBI of a page's stage 2 entry outside faults is an unmap. That of a whole VM is not taken for one,
  nor is the end of a VM, when Linux frees stage 2 tables without maintenance of their pages.

User space is taken to deal with each page that it wrote once, before the first run. Resets of vCPUs and
what the host does to pages behind KVM's back (swap, merging) are not recognised; faults on devices are
the same for all and not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pocwatch.arch.ops import Op
from pocwatch.cost.counts import Counts
from pocwatch.cost.recording.happenings import (
    Context,
    Entry,
    Fault,
    Happening,
    Invalidation,
    RegisterTrap,
    Touch,
)
from pocwatch.cost.recording.ram import guest_ram
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.record import Flag
from pocwatch.cost.recording.syndrome import FaultKind
from pocwatch.cost.recording.tally import PAGE_BYTES, Tally
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Access, Occasion, Policy
from pocwatch.platforms import Platform

_M, _M_AND_C = 1, 5  # SCTLR_EL1


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a policy would have done. `why_not`: it does not apply to the platform; nothing counted.

    `operations`: by VA, lines; others, times. `occasions`: how often each hook was called and did
    something, and over how many pages together.
    """

    policy: str
    why_not: str | None
    counts: Counts = Counts()  # noqa: RUF009  # immutable
    operations: Mapping[Op, int] = field(default_factory=dict)
    occasions: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Entry:
    """A stage 2 entry of the policy's hypervisor."""

    pages: range  # IPAs
    executable: bool


class _Vm:
    """What a policy's hypervisor knows of one guest."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.entry_of: dict[int, _Entry] = {}  # by IPA of each 4 KiB page
        self.traps_mmu: dict[int, bool] = {}  # by vCPU, what differs from the policy's choice
        self.last_on: dict[int, int] = {}  # vCPU by PE

    def entries(self) -> list[range]:
        """Return the pages of each entry."""
        return list({id(entry): entry.pages for entry in self.entry_of.values()}.values())


class _Hypervisor:
    """One policy on its way through a recording."""

    def __init__(self, policy: Policy, platform: Platform) -> None:
        self._policy, self._platform = policy, platform
        self._choices = policy.on(platform)
        self._tally = Tally(policy, platform)
        self._vms: dict[int, _Vm] = {}

    def result(self) -> Replayed:
        """Return what was counted."""
        tally = self._tally
        occasions = {hook: (n, tally.pages[hook]) for hook, n in tally.occasions.items()}
        return Replayed(self._policy.name, None, tally.total(), tally.operations, occasions)

    def see(self, h: Happening, access: Access) -> None:
        """Something happens; `access` is what a use of a page is."""
        vm = self._vms.get(h.vm)
        if vm is None:
            return
        match h:
            case Entry():
                self._enter(vm, h)
            case Touch():
                self._use(vm, h, access)
            case Fault() if h.abort.kind is FaultKind.PERMISSION and access is Access.WRITE:
                self._write_refused(vm, h)
            case RegisterTrap():
                self._trap(vm, h)
            case Invalidation(context=context, ipa=ipa) if context is not Context.FAULT and ipa:
                self._unmap(vm, ipa)

    def start(self, number: int, loaded: Iterable[int]) -> None:
        """A VM is made, user space fills its RAM, and it is run for the first time."""
        vm = self._vms[number] = _Vm(number)
        there = Occasion(self._platform)
        self._tally.do("at_slot_creation", number, [], there)
        pages = sorted(loaded)
        for page in pages:
            self._allocate(vm, [page], there)
            self._tally.dirty[number, page] = self._tally.lines_of_page
            self._tally.do("at_user_space_write", number, [[page]], there)
        self._tally.do("at_first_run", number, [[page] for page in pages], there)

    def _allocate(self, vm: _Vm, pages: Iterable[int], occasion: Occasion) -> None:
        for page in pages:
            if (vm.number, page) not in self._tally.dirty:
                self._tally.dirty[vm.number, page] = self._tally.lines_of_page
                self._tally.do("at_allocation", vm.number, [[page]], occasion)

    def _enter(self, vm: _Vm, h: Entry) -> None:
        last = vm.last_on.get(h.pe)
        if last not in (None, h.vcpu):
            self._tally.do("at_vcpu_load", vm.number, vm.entries(), Occasion(self._platform))
        vm.last_on[h.pe] = h.vcpu

    def _use(self, vm: _Vm, h: Touch, access: Access) -> None:
        caches_on, fetching = bool(h.flags & Flag.CACHES_ON), access is Access.FETCH
        entry = vm.entry_of.get(h.ipa)
        occasion = Occasion(self._platform, access, caches_on, executable=True)
        if entry is None:
            self._map(vm, h, occasion._replace(executable=fetching or self._executable_at_once))
        elif fetching and not entry.executable:
            entry.executable = True
            self._tally.counts["permission_faults"] += 1
            self._tally.do("at_permission_fault", vm.number, [entry.pages], occasion)
        if h.op is Op.LD and caches_on:
            self._tally.dirty[vm.number, h.ipa] = self._tally.lines_of_page

    @property
    def _executable_at_once(self) -> bool:
        return not self._choices.executable_on_fetch

    def _map(self, vm: _Vm, h: Touch, occasion: Occasion) -> None:
        start = h.ipa // h.block_bytes * h.block_bytes
        entry = _Entry(range(start, start + h.block_bytes, PAGE_BYTES), occasion.executable)
        fetching = occasion.access is Access.FETCH
        self._allocate(vm, entry.pages, occasion)
        self._tally.counts["prefetch_faults" if fetching else "stage2_faults"] += 1
        for hook in ("at_prefetch_fault" if fetching else "at_data_fault", "at_map"):
            self._tally.do(hook, vm.number, [entry.pages], occasion)
        vm.entry_of.update(dict.fromkeys(entry.pages, entry))

    def _write_refused(self, vm: _Vm, h: Fault) -> None:
        if entry := vm.entry_of.get(h.ipa):
            caches_on = bool(h.flags & Flag.CACHES_ON)
            occasion = Occasion(self._platform, Access.WRITE, caches_on, entry.executable)
            self._tally.counts["permission_faults"] += 1
            self._tally.do("at_permission_fault", vm.number, [entry.pages], occasion)

    def _trap(self, vm: _Vm, h: RegisterTrap) -> None:
        vcpu, before = vm.last_on[h.pe], bool(h.flags & Flag.CACHES_ON)
        chosen = self._choices.traps_mmu or self._choices.default_cacheable
        traps = vm.traps_mmu.get(vcpu, chosen)
        if h.access.by_tsw and self._choices.traps_set_way:
            self._tally.counts["traps_tsw"] += 1
            if not traps and not self._choices.forces_wb:
                occasion = Occasion(self._platform, caches_on=before)
                self._tally.do("at_set_way_trap", vm.number, vm.entries(), occasion)
                vm.traps_mmu[vcpu] = True
        elif h.access.by_tvm and traps:
            self._tally.counts["traps_tvm"] += 1
            if h.access.name == "SCTLR_EL1":
                self._switch(vm, vcpu, before, h.value)

    def _switch(self, vm: _Vm, vcpu: int, before: bool, sctlr: int) -> None:
        after = sctlr & _M_AND_C == _M_AND_C
        if after is not before:
            occasion = Occasion(self._platform, caches_on=after)
            self._tally.do("at_mmu_trap", vm.number, vm.entries(), occasion)
        if after or (sctlr & _M and not self._choices.traps_mmu):  # HCR_EL2.DC ends with M
            vm.traps_mmu[vcpu] = False

    def _unmap(self, vm: _Vm, ipa: int) -> None:
        if entry := vm.entry_of.get(ipa):
            for page in entry.pages:
                vm.entry_of.pop(page, None)
            self._tally.do("at_unmap", vm.number, [entry.pages], Occasion(self._platform))


def _with_accesses(recording: Recording) -> Iterator[tuple[Happening, Access]]:
    """Yield happenings with what the guest was doing: a first use tells it by the fault before it."""
    faulted: dict[tuple[int, int], Access] = {}
    for h in recording.happenings:
        access = Access.READ
        if isinstance(h, Fault):
            access = faulted[h.vm, h.ipa] = h.abort.access
        elif isinstance(h, Touch):
            is_write = faulted.get((h.vm, h.ipa)) is Access.WRITE and h.op is Op.LD
            access = Access.FETCH if h.op is Op.IF else Access.WRITE if is_write else Access.READ
        yield h, access


def replay(
    recording: Recording, platform: Platform, policies: Iterable[Policy] = POLICIES.values()
) -> list[Replayed]:
    """Return what each policy would have done on a platform, in the order given."""
    policies = list(policies)
    reasons = {policy.name: policy.why_not(platform, "") for policy in policies}
    ones = {p.name: _Hypervisor(p, platform) for p in policies if reasons[p.name] is None}
    started: set[int] = set()
    for h, access in _with_accesses(recording):
        if isinstance(h, Entry) and h.vm not in started:
            started.add(h.vm)
            loaded = guest_ram(recording, h.vm).loaded
            for one in ones.values():
                one.start(h.vm, loaded)
        for one in ones.values():
            one.see(h, access)
    return [
        ones[p.name].result() if p.name in ones else Replayed(p.name, reasons[p.name])
        for p in policies
    ]


def not_known(recording: Recording) -> list[str]:
    """Return what of `replay` this recording cannot tell, one sentence each."""
    said = []
    off = [h for h in recording.happenings if isinstance(h, Entry) and not h.flags & Flag.CACHES_ON]
    if any(not h.flags & Flag.TRAPS_MMU for h in off):
        said.append(
            "The recorded hypervisor did not trap the guest's translation registers (HCR_EL2.TVM) while "
            "its caches were off: traps, and cleaning at traps, of policies that do are missing."
        )
    if any(isinstance(h, Entry) and not h.flags & Flag.TRAPS_SET_WAY for h in recording.happenings):
        said.append(
            "The recorded hypervisor did not trap set/way operations (HCR_EL2.TSW): what policies that "
            "do would do about them is missing."
        )
    return said
