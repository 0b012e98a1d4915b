"""What a hypervisor's cache policy costs over the life of a VM: a workload, counted, times a cost set.

Only what policies differ in is counted: maintenance, trapped instructions, the faults that a choice
adds, and the lines that caches lose, which may have to come back. Faults that every policy takes are
not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.arch.ops import Op
from pocwatch.cost import charge
from pocwatch.cost.counts import Counts
from pocwatch.cost.model import CostModel
from pocwatch.cost.quantity import Estimate
from pocwatch.kvm.policy import AtEl2, Choices, Operation
from pocwatch.kvm.synth.space import Part, Role, Slot, When
from pocwatch.platforms import Platform


@dataclass(frozen=True, slots=True)
class Workload:
    """The life of one VM, in numbers. SOURCES says where each comes from; change them with `replace`."""

    page_bytes: int = 4096
    touched_pages: int = 65_536
    loaded_pages: int = 8_192
    user_space_pages: int = 65_536
    early_pages: int = 2_048
    early_fetched_first: int = 256
    fetched_first: int = 1_024
    data_then_fetched: int = 3_072
    vcpus: int = 4
    resets: int = 1
    trapped_writes: int = 8
    switches_off: int = 1
    pages_at_switch: int = 8_192
    unmapped_pages: int = 4_096
    shared_pages: int = 1_024
    slots: int = 4
    loads: int = 10_000
    set_way_loops: int = 1
    refill_ns: int = 20


SOURCES: Mapping[str, str] = {
    "page_bytes": "assumed: 4 KiB pages in stage 2, no blocks",
    "touched_pages": "assumed: a guest of 1 GiB that touches 256 MiB",
    "loaded_pages": "assumed: kernel, initial RAM disk and device tree of 32 MiB",
    "user_space_pages": "assumed: 256 MiB that emulated devices write to guest RAM later",
    "early_pages": "assumed: 8 MiB first touched with MMU or caches off, at each start",
    "early_fetched_first": "assumed: of these, 1 MiB by an instruction fetch",
    "fetched_first": "assumed: 4 MiB more first touched by an instruction fetch",
    "data_then_fetched": "assumed: 12 MiB executed that were read or written before",
    "vcpus": "assumed",
    "resets": "assumed: the guest reboots once",
    "trapped_writes": "assumed: SCTLR, TTBR0, TTBR1, TCR, MAIR and a few, for each vCPU's start",
    "switches_off": "assumed: firmware switches MMU and caches off once a start, for the kernel",
    "pages_at_switch": "assumed: 32 MiB mapped when a vCPU switches its caches",
    "unmapped_pages": "assumed: 16 MiB that the host takes away and the guest touches again",
    "shared_pages": "assumed: 4 MiB that the host merges, all written again later",
    "slots": "assumed: memslots created",
    "loads": "assumed: how often a vCPU comes to a PE where another of its VM ran last",
    "set_way_loops": "assumed: guest firmware does one loop over sets and ways at each start",
    "refill_ns": "assumed: for each line that a cache loses, a mean of those used again and those not",
}


class Occasions(NamedTuple):
    """How often a slot's hook is called, over how many pages together, and whether these are dirty."""

    times: int
    pages: int
    dirty: bool


class Axes(NamedTuple):
    """What policies are compared by; less is better."""

    time: int  # ps, the typical cost
    data_lines: int  # DC by VA, and lines that set/way goes over
    exits: int  # traps and faults that a choice adds


@dataclass(frozen=True, slots=True)
class PolicyCosts:
    """Costs of policies on a platform. A policy's is that of its choices and of its parts, added up."""

    model: CostModel
    platform: Platform
    workload: Workload = Workload()

    # --- Choices ---------------------------------------------------------------------------------

    @property
    def _starts(self) -> int:
        return 1 + self.workload.resets

    def of_choices(self, choices: Choices) -> Counts:
        """Return the exits that choices cause."""
        w = self.workload
        trapped = choices.traps_mmu or choices.default_cacheable
        counts = Counts(traps_tvm=w.trapped_writes * w.vcpus * self._starts * trapped)
        if choices.traps_set_way:
            loops = w.set_way_loops * self._starts
            counts += Counts(traps_tsw=loops * self._lines_by_set_way())
        if choices.unmaps_at_reset:
            counts += Counts(stage2_faults=w.resets * w.touched_pages)
        if choices.executable_on_fetch:
            counts += Counts(permission_faults=self._executed_later(choices))
        return counts

    def _lines_by_set_way(self) -> int:
        size = sum(
            self.platform.levels[n].geometry.size_kib for n in self.platform.reached("set_way")
        )
        return size * 1024 // self.platform.dminline_bytes

    def _executed_later(self, choices: Choices) -> int:
        return self.workload.data_then_fetched * (self._starts if choices.unmaps_at_reset else 1)

    # --- Parts -----------------------------------------------------------------------------------

    def occasions(self, slot: Slot, choices: Choices) -> Occasions:
        """Return how often a slot is come by."""
        w = self.workload
        after_resets = w.resets if choices.unmaps_at_reset else 0
        once = {
            "at_slot_creation": Occasions(w.slots, w.touched_pages, False),
            "at_allocation": _each(w.touched_pages, dirty=True),
            "at_user_space_write": _each(
                w.loaded_pages * self._starts + w.user_space_pages, dirty=True
            ),
            "at_first_run": Occasions(1, w.loaded_pages, False),
            "at_permission_fault": _each(
                self._executed_later(choices) * choices.executable_on_fetch
                if slot.role >= Role.INSTRUCTION
                else self._executed_later(choices) * choices.executable_on_fetch + w.shared_pages
            ),
            "at_change_pte": _each(
                2 * w.shared_pages
                if slot.role < Role.INSTRUCTION or not choices.executable_on_fetch
                else 0,
                dirty=True,
            ),
            "at_unmap": _each(
                w.touched_pages * (1 + after_resets) + w.unmapped_pages + 2 * w.shared_pages
            ),
            "at_mmu_trap": self._switches(slot),
            "at_set_way_trap": Occasions(
                w.set_way_loops * self._starts, w.set_way_loops * self._starts * w.early_pages, False
            ),
            "at_reset": Occasions(w.resets, w.resets * w.touched_pages, False),
            "at_vcpu_load": Occasions(w.loads, w.loads * w.touched_pages, False),
        }
        return once.get(slot.hook) or self._maps(slot, choices, 1 + after_resets)

    def _switches(self, slot: Slot) -> Occasions:
        w = self.workload
        times = w.switches_off * self._starts
        if slot.when is When.CACHES_ON:
            times += w.vcpus * self._starts
        return Occasions(times, times * w.pages_at_switch, False)

    def _maps(self, slot: Slot, choices: Choices, starts: int) -> Occasions:
        """Return the translation faults that a slot sees; `at_map` also sees notifiers' maps."""
        w = self.workload
        early, early_fetched = w.early_pages * starts, w.early_fetched_first * starts
        late = w.touched_pages * starts - early + w.unmapped_pages
        late_fetched = w.fetched_first * starts
        off = slot.when is When.CACHES_OFF
        pages, fetched = (early, early_fetched) if off else (late, late_fetched)
        notified = 2 * w.shared_pages if off else 0  # a notifier knows no vCPU
        data = pages - fetched
        if slot.role >= Role.INSTRUCTION and choices.executable_on_fetch:
            data = notified = 0
        seen = {"at_data_fault": data, "at_prefetch_fault": fetched}
        return _each(seen.get(slot.hook, data + fetched + notified), dirty=True)

    def of_part(self, part: Part, choices: Choices) -> Counts:
        """Return what is counted for one operation, wherever it is done."""
        occasions = self.occasions(part.slot, choices)
        op = _plain(part.operation)
        lines = occasions.pages * (self.workload.page_bytes // self.platform.dminline_bytes)
        if op in (Op.DC_CVAC, Op.DC_CIVAC):
            return Counts(dc_poc_dirty=lines) if occasions.dirty else Counts(dc_poc_absent=lines)
        if op is Op.DC_CVAU:
            return Counts(dc_pou=lines)
        if op is Op.IC_IVAU:
            return Counts(ic_ivau=lines)
        times = occasions.times
        return {
            Op.DC_CISW: Counts(set_way_lines=times * self._lines_by_set_way()),
            Op.OUTER_FLUSH: Counts(set_way_lines=times * self._lines_of_outer()),
            Op.IC_IALLU: Counts(ic_iallu=times),
            Op.IC_IALLUIS: Counts(ic_ialluis=times),
            Op.DSB: Counts(dsb=times),
        }.get(op, Counts())

    def _lines_of_outer(self) -> int:
        size = sum(level.geometry.size_kib for level in self.platform.levels if level.outer)
        return size * 1024 // self.platform.dminline_bytes

    def lines_lost(self, part: Part, choices: Choices) -> int:
        """Return how many lines an operation takes away from data and instruction caches."""
        counts = self.of_part(part, choices)
        whole = self.platform.l1i.size_kib * 1024 // self.platform.dminline_bytes
        lost = counts.ic_ivau + whole * (counts.ic_iallu + self.platform.pes * counts.ic_ialluis)
        if _plain(part.operation) in (Op.DC_CIVAC, Op.DC_CISW, Op.OUTER_FLUSH):
            lost += _data_lines(counts)
        return lost

    # --- What the search asks for ----------------------------------------------------------------

    def base(self, choices: Choices) -> Axes:
        """Return the costs of a combination of choices alone."""
        counts = self.of_choices(choices)
        return Axes(_ps(charge.cost(self.model, counts)), 0, _exits(counts))

    def part(self, choices: Choices, part: Part) -> Axes:
        """Return the costs of one operation, under these choices."""
        counts = self.of_part(part, choices)
        time = _ps(charge.cost(self.model, counts)) + self._refill_ps(choices, [part])
        return Axes(time, _data_lines(counts), _exits(counts))

    def _refill_ps(self, choices: Choices, parts: Sequence[Part]) -> int:
        lost = sum(self.lines_lost(part, choices) for part in parts)
        return 1000 * self.workload.refill_ns * lost

    def counts(self, choices: Choices, parts: Sequence[Part]) -> Counts:
        """Return everything counted for a policy."""
        counts = self.of_choices(choices)
        for part in parts:
            counts = counts + self.of_part(part, choices)
        return counts

    def time(self, choices: Choices, parts: Sequence[Part]) -> Estimate:
        """Return a policy's time over the VM's life, in ns; refills are between none and thrice."""
        refills = self._refill_ps(choices, parts) / 1000
        done = charge.cost(self.model, self.counts(choices, parts))
        return done + Estimate(0, refills, 3 * refills)


def _each(pages: int, *, dirty: bool = False) -> Occasions:
    return Occasions(pages, pages, dirty)


def _plain(operation: Operation) -> Op:
    return operation.op if isinstance(operation, AtEl2) else operation


def _ps(time: Estimate) -> int:
    return round(time.typical * 1000)


def _data_lines(counts: Counts) -> int:
    return counts.dc_poc_dirty + counts.dc_poc_absent + counts.dc_pou + counts.set_way_lines


def _exits(counts: Counts) -> int:
    faults = counts.stage2_faults + counts.prefetch_faults + counts.permission_faults
    return faults + counts.traps_tvm + counts.traps_tsw + counts.traps_dc
