"""The life of a Linux guest as events, from its RAM, page size, image, touched memory and vCPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pocwatch.cost.counts import Counts
from pocwatch.cost.start.assumptions import DEFAULT, Assumptions
from pocwatch.cost.start.caches import Segment, reached_bytes
from pocwatch.cost.start.events import NO_COUNTS, Event, Phase, Written
from pocwatch.cost.start.vm import Present, Vm
from pocwatch.kvm.policy import Access, Choices
from pocwatch.platforms import Platform

_FAULTS = {Access.READ: "at_data_fault", Access.WRITE: "at_data_fault", Access.FETCH: "at_prefetch_fault"}


@dataclass(frozen=True, slots=True)
class Boot:
    """The life of a Linux guest; see `assumptions`."""

    assumed: Assumptions = DEFAULT

    def events(
        self, vm: Vm, present: Present, choices: Choices, platform: Platform
    ) -> Sequence[Event]:
        """Return the events of a VM's life, in order; those that would be about nothing are left out."""
        life = _Life(vm, present, choices, platform, self.assumed)
        return [event for event in life.events() if event.times]


class _Life:
    """One VM's events; sizes are in whole pages."""

    def __init__(
        self, vm: Vm, present: Present, choices: Choices, platform: Platform, assumed: Assumptions
    ) -> None:
        self.vm, self.choices, self.assumed = vm, choices, assumed
        self.all_present = present is Present.ALL
        self.image = vm.pages(vm.image_bytes)
        self.image_touched = min(self.image, vm.pages(vm.touched_bytes))
        rest = vm.pages(max(0, vm.touched_bytes - vm.image_bytes))
        self.rest = min(rest, vm.pages(vm.ram_bytes) - self.image)
        self.touched = self.image_touched + self.rest
        self.early = min(self.image_touched, vm.pages(assumed.early_bytes))
        self.set_way_lines = reached_bytes(platform, "set_way") // platform.dminline_bytes
        self.traps = choices.traps_mmu or choices.default_cacheable

    def events(self) -> Iterator[Event]:
        yield from self.start()
        yield from self.mmu_off()
        yield from self.mmu_on()
        yield from self.stop()
        yield from self.run()

    # --- Pieces ----------------------------------------------------------------------------------

    def bytes(self, pages: int) -> int:
        return pages * self.vm.page_bytes

    def of_bytes(self, segment: Segment) -> int:
        image = self.bytes(self.image)
        if segment is Segment.IMAGE:
            return image
        return self.vm.ram_bytes - image if self.all_present else self.bytes(self.rest)

    def over(
        self,
        phase: Phase,
        what: str,
        hook: str,
        pages: int,
        *,
        times: int = 1,
        caches_on: bool = False,
        added: Counts = NO_COUNTS,
    ) -> Event:
        """Return an event over many pages at once: all that may be dirty by then."""
        return Event(
            phase, what, (hook,), times, self.bytes(pages), None, self.bytes(pages),
            same_range=True, caches_on=caches_on, added=added,
        )  # fmt: skip

    def faults(
        self, phase: Phase, what: str, pages: int, access: Access, segment: Segment
    ) -> Event:
        """Return translation faults, one for each page."""
        on = phase not in (Phase.FIRST_FETCH, Phase.MMU_OFF)
        fetching = access is Access.FETCH
        new = segment is Segment.REST and (not self.all_present or phase is Phase.RUN)
        written = Written.BOTH if new else Written.AFTER if segment is Segment.REST else Written.NEVER
        return Event(
            phase,
            what,
            (*(("at_allocation",) if new else ()), _FAULTS[access], "at_map"),
            pages,
            self.vm.page_bytes,
            segment,
            self.of_bytes(segment),
            written,
            access,
            on,
            fetching or not self.choices.executable_on_fetch,
            self.vm.vcpus if on else 1,
        )

    def allocation(self, phase: Phase, segment: Segment, pages: int) -> Event:
        """Return the host's zeroing of pages before the guest runs."""
        return Event(
            phase,
            f"host zeroes the {'image' if segment is Segment.IMAGE else 'other'} pages",
            ("at_allocation",),
            pages,
            self.vm.page_bytes,
            segment,
            self.of_bytes(segment),
            Written.BEFORE,
        )

    def switch(self, phase: Phase, what: str, mapped: int, vcpus: int) -> Event | None:
        """Return the switching on of MMU and caches, if the policy looks."""
        if not self.traps or not vcpus:
            return None
        traps = Counts(traps_tvm=self.assumed.trapped_writes * vcpus)
        return self.over(
            phase, what, "at_mmu_trap", mapped, times=vcpus, caches_on=True, added=traps
        )

    # --- Phases ----------------------------------------------------------------------------------

    def start(self) -> Iterator[Event]:
        """Yield what comes before the first guest instruction."""
        there = self.vm.pages(self.vm.ram_bytes) if self.all_present else 0
        if self.all_present:
            yield self.allocation(Phase.CREATE, Segment.REST, there - self.image)
            yield self.allocation(Phase.CREATE, Segment.IMAGE, self.image)
        yield self.over(Phase.CREATE, "memslot created", "at_slot_creation", there)
        if not self.all_present:
            yield self.allocation(Phase.LOAD, Segment.IMAGE, self.image)
        yield Event(
            Phase.LOAD,
            "VMM writes the image",
            ("at_user_space_write",),
            1,
            self.vm.image_bytes,
            Segment.IMAGE,
            self.of_bytes(Segment.IMAGE),
            Written.BEFORE,
        )
        yield self.over(Phase.FIRST_RUN, "first KVM_RUN", "at_first_run", there or self.image)
        yield self.faults(
            Phase.FIRST_FETCH, "fault of the first instruction", 1, Access.FETCH, Segment.IMAGE
        )

    def mmu_off(self) -> Iterator[Event]:
        """Yield what comes until the first vCPU has its caches on."""
        phase, image = Phase.MMU_OFF, Segment.IMAGE
        fetched = min(self.early, max(1, self.early // 8)) - 1
        yield self.faults(phase, "faults on the image: fetched, MMU off", fetched, Access.FETCH, image)
        data = self.early - fetched - 1
        yield self.faults(phase, "faults on the image: read, MMU off", data, Access.READ, image)
        switched = self.switch(phase, "first vCPU switches its MMU on", self.early, 1)
        if switched is not None:
            yield switched

    def mmu_on(self) -> Iterator[Event]:
        """Yield the rest of the boot."""
        phase, image, rest = Phase.MMU_ON, Segment.IMAGE, Segment.REST
        more = self.image_touched - self.early
        fetched = min(more, self.touched // self.assumed.touched_per_fetched)
        yield self.faults(phase, "faults on the image: fetched", fetched, Access.FETCH, image)
        yield self.faults(phase, "faults on the image: read", more - fetched, Access.READ, image)
        half = self.rest // 2
        yield self.faults(phase, "faults on new pages", half, Access.WRITE, rest)
        mapped = self.image_touched + half
        switched = self.switch(
            phase, "other vCPUs switch their MMU on", mapped, self.vm.vcpus - 1
        )
        if switched is not None:
            yield switched
        yield self.faults(phase, "faults on new pages", self.rest - half, Access.WRITE, rest)
        if self.choices.executable_on_fetch:
            yield self.permission_faults()
        if self.choices.traps_set_way and self.assumed.set_way_loops:
            loops = self.assumed.set_way_loops
            yield self.over(
                phase, "guest cleans by set/way", "at_set_way_trap", self.touched, times=loops,
                caches_on=True, added=Counts(traps_tsw=loops * self.set_way_lines),
            )  # fmt: skip

    def permission_faults(self) -> Event:
        """Return the faults of pages that were mapped execute-never."""
        pages = min(self.touched // self.assumed.touched_per_executed, self.touched)
        return Event(
            Phase.MMU_ON,
            "faults of execution, on pages that were data",
            ("at_permission_fault",),
            pages,
            self.vm.page_bytes,
            Segment.REST,
            self.of_bytes(Segment.REST),
            access=Access.FETCH,
            caches_on=True,
            executable=True,
            racing=self.vm.vcpus,
            added=Counts(permission_faults=pages),
        )

    def stop(self) -> Iterator[Event]:
        """Yield the unmapping of what was touched."""
        yield Event(
            Phase.STOP,
            "pages unmapped",
            ("at_unmap",),
            self.touched,
            self.vm.page_bytes,
            None,
            self.bytes(self.touched),
        )

    def run(self) -> Iterator[Event]:
        """Yield what happens in each second of the guest's run; blocks larger than that stay."""
        churned = min(self.touched, self.assumed.churn_bytes // self.vm.page_bytes)
        cold = 0  # what is taken away was not used for long: in no cache
        yield Event(
            Phase.RUN, "cold pages unmapped", ("at_unmap",), churned, self.vm.page_bytes, None, cold
        )
        yield self.faults(Phase.RUN, "faults on pages taken before", churned, Access.WRITE, Segment.REST)
        written = min(self.assumed.user_space_bytes, self.vm.ram_bytes)
        if written:
            yield Event(
                Phase.RUN, "emulated devices write", ("at_user_space_write",), 1, written,
                Segment.REST, max(self.of_bytes(Segment.REST), written), Written.BEFORE,
            )  # fmt: skip
        if self.vm.vcpus > 1:
            yield self.over(
                Phase.RUN, "vCPUs change places", "at_vcpu_load", self.touched,
                times=self.assumed.loads, caches_on=True,
            )  # fmt: skip
