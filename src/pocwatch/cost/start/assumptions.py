"""What is taken to be so where nobody has a figure: each number once, with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from pocwatch.cost.start import sizes
from pocwatch.cost.start.errors import BenchError

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The numbers; REASONS says why. Sizes are in bytes; rates are per second of the guest's run."""

    image_bytes: int = 32 * _MIB
    booted_bytes: int = 48 * _MIB
    ram_per_memmap: int = 64
    early_bytes: int = 2 * _MIB
    touched_per_fetched: int = 64
    touched_per_executed: int = 20
    trapped_writes: int = 8
    set_way_loops: int = 0
    churn_bytes: int = 4 * _MIB
    user_space_bytes: int = 16 * _MIB
    loads: int = 100


DEFAULT = Assumptions()

REASONS: Mapping[str, str] = {
    "image_bytes": (
        "kernel, initial RAM disk and device tree that the VMM writes, if --image does not say; "
        "a distribution's arm64 kernel alone takes about that"
    ),
    "booted_bytes": (
        "touched by a small guest's boot, image included, if --touched does not say; measured once: "
        "12,371 pages of 4 KiB were cleaned while a Debian 6.1 kernel booted under KVM"
    ),
    "ram_per_memmap": (
        "a Linux guest also writes struct page, 64 bytes for each 4 KiB of its RAM: one byte in 64"
    ),
    "early_bytes": "of the image, first touched while MMU and caches are off",
    "touched_per_fetched": "one page in so many is first touched by an instruction fetch",
    "touched_per_executed": (
        "one page in so many is executed after it was read or written: a permission fault, if pages "
        "are mapped execute-never until then"
    ),
    "trapped_writes": "SCTLR, TTBR0, TTBR1, TCR, MAIR and a few more for each vCPU, if TVM is set",
    "set_way_loops": (
        "loops over sets and ways in the guest, each trapped operation by operation if TSW is set; "
        "arm64 Linux has none, old firmware and 32-bit guests have some"
    ),
    "churn_bytes": "taken from the guest and touched again (swap, balloon), each second",
    "user_space_bytes": "written to guest RAM by emulated devices in user space, each second",
    "loads": (
        "times a vCPU comes to a PE where another of its VM ran last, each second, with more than one"
    ),
}

STATEMENTS: tuple[str, ...] = (
    "added time is counted against a hypervisor that does no maintenance: faults that every policy "
    "takes, allocating, zeroing and copying are not in it",
    "a line is dirty if it was written last and fits the largest cache before the PoC that operations "
    "by VA reach, else absent; what was cleaned is absent; clean lines are counted as absent",
    "the host zeroes a page just before it is first mapped, unless all RAM was present before",
    "image and guest data are found dirty in proportion to what of them still fits",
    "the image comes first in what is touched, and shares no page with the rest",
    "a fault's maintenance covers the whole page or block that is mapped, and so does zeroing",
    "the boot is one thread's work; secondary vCPUs switch their MMU on halfway through it",
    "set/way loops go over the caches of one PE, an outer cache's controller over all of that cache",
    "every vCPU faults on the same page or block before it is mapped, one after the other under the "
    "mmu_lock, as in Linux 2013 to 2021 (E2): what a fault hook does is done by each, what is done "
    "where the entry is installed only by the first; with the MMU off only one vCPU runs",
    "DC CVAU with CTR_EL0.IDC and IC with DIC cost what they do without, if a policy does them all the "
    "same: a CPU may, but need not, treat them as NOP",
    "DMB and ISB cost nothing of their own; what invalidated caches must fetch again is not counted",
    "no reboot, no KSM, no migration, no page mapped read-only; nothing else runs at the same time",
)


def changed(settings: Iterable[str]) -> Assumptions:
    """Return the assumptions with NAME=VALUE changed. Raises BenchError."""
    assumed = Assumptions()
    names = {f.name for f in fields(Assumptions)}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if name not in names or not equals:
            raise BenchError(
                f"--assume: {setting!r}: accepted are NAME=VALUE with a name of "
                f"{', '.join(sorted(names))}"
            )
        if value == "0" and not name.startswith(("ram_per", "touched_per", "image", "booted")):
            number = 0
        else:
            number = sizes.parse(value, f"--assume: {name}")
        assumed = replace(assumed, **{name: number})
    return assumed
