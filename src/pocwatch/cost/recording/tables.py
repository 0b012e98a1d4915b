"""Counts of a recording as tables: what is shown, before it is text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Op
from pocwatch.cost import charge
from pocwatch.cost.model import CostModel
from pocwatch.cost.recording.counted import Counted
from pocwatch.cost.recording.happenings import Context
from pocwatch.cost.recording.ram import GuestRam
from pocwatch.cost.recording.replay import Replayed
from pocwatch.cost.recording.syndrome import FaultKind

TO_POC = (Op.DC_CVAC, Op.DC_CVAP, Op.DC_CIVAC, Op.DC_IVAC)
Cell = str | int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; `note` says what the numbers mean."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""


def size(size_bytes: int) -> str:
    """Return a power of two as people write it."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size_bytes >= 1 << shift:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} bytes"


def exits(c: Counted) -> Table:
    """Return how guests were left."""
    rows: list[tuple[Cell, ...]] = []
    for fault, n in sorted(c.faults.items(), key=lambda item: -item[1]):
        what = "RAM" if fault.of_ram else "device"
        walk = ", of a table walk" if fault.of_walk else ""
        rows.append((f"{fault.kind.value} fault, {what}, {fault.access.value}{walk}", n))
    rows += [(f"write of {name} (HCR_EL2.TVM)", n) for name, n in c.register_traps.items()]
    rows += [(f"{name} (HCR_EL2.TSW)", n) for name, n in c.set_way_traps.items()]
    rows += [(name, n) for name, n in c.other_exits.most_common()]
    if c.other_register_traps:
        rows.append(("access of another register", c.other_register_traps))
    rows.append(("all (entries)", c.entries))
    return Table("Exits of guests", ("exit", "times"), rows)


def maintenance(c: Counted) -> Table:
    """Return maintenance by what was being done, with the lines that it found."""
    order = {context: n for n, context in enumerate(Context)}
    rows: list[tuple[Cell, ...]] = []
    for key in sorted(c.maintenance, key=lambda key: (order[key.context], key.op)):
        lines = c.maintenance[key]
        dirty: Cell = "" if key.op in INSTRUCTION_MAINTENANCE else lines.dirty
        rows.append(
            (
                key.context.value,
                key.op.spelling,
                lines.operations,
                lines.changed,
                lines.redundant,
                dirty,
            )
        )
    rows += [
        (context.value, "dsb", c.dsbs[context], "", "", "") for context in order if c.dsbs[context]
    ]
    return Table(
        "Maintenance",
        ("when", "operation", "times", "changed state", "redundant", "dirty"),
        rows,
        "Each is an operation on one line, but for set/way, whole I-caches and barriers. Redundant: the "
        "line's state stayed the same, so nobody can tell. Changed state: not redundant, but perhaps not "
        "needed. Dirty: memory may have been stale, and a cache dirty; caches may have evicted the line.",
    )


def pages(c: Counted, ram: Sequence[GuestRam]) -> Table:
    """Return what guests' RAM was."""
    rows: list[tuple[Cell, ...]] = [
        ("used with the MMU off, 4 KiB", c.first_used_off),
        ("used with the MMU on, 4 KiB", c.first_used_on),
    ]
    names = {Op.LD: "data", Op.IF: "instruction fetches", Op.TW: "table walks"}
    for use, n in sorted(c.first_used.items()):
        past = ", past the caches" if use.past_caches else ""
        rows.append((f"  for {names[use.op]}, MMU {'on' if use.mmu_on else 'off'}{past}", n))
    rows.append(("used past the caches, 4 KiB", c.past_caches))
    rows += [(f"stage 2 entries of {size(b)}", n) for b, n in sorted(c.blocks.items())]
    loaded = [n for one in ram for n in one.loaded.values()]
    untouched = sum(len(one.loaded.keys() - one.touched) for one in ram)
    later = [n for one in ram for n in one.written_later.values()]
    rows += [
        ("written by user space before the first run, 4 KiB", len(loaded)),
        ("  of these never used by the guest", untouched),
        ("  bytes", sum(loaded)),
        ("written by user space later, bytes", sum(later)),
    ]
    return Table("Guest pages", ("pages", "number"), rows)


def good_for(lines: Mapping[str, int]) -> Table:
    """Return what the hypervisor's cleaning for guests was good for."""
    return Table(
        "Lines that the hypervisor cleaned to the PoC for guests, by the use of their pages",
        ("page is", "lines"),
        list(lines.items()),
        "In this run and page by page, a bound: what was only used through the caches needed no cleaning "
        "but for devices that are not coherent, and fetches through the caches need the PoU only.",
    )


def over_time(slices: Sequence[Counted]) -> Table:
    """Return the course of guests' lives."""
    columns = (
        "million instructions",
        "new pages, MMU off",
        "MMU on",
        "translation faults",
        "permission faults",
        "device",
        "DC to PoC, host",
        "guest",
        "IC, host",
        "guest",
    )
    rows: list[tuple[Cell, ...]] = []
    for c in slices:
        ics = INSTRUCTION_MAINTENANCE
        dc_guest = c.lines(*TO_POC, context=Context.GUEST).operations
        ic_guest = c.lines(*ics, context=Context.GUEST).operations
        rows.append(
            (
                f"{c.start / 1e6:.1f} to {c.end / 1e6:.1f}",
                c.first_used_off,
                c.first_used_on,
                c.faults_of(FaultKind.TRANSLATION),
                c.faults_of(FaultKind.PERMISSION),
                sum(n for fault, n in c.faults.items() if not fault.of_ram),
                c.lines(*TO_POC).operations - dc_guest,
                dc_guest,
                c.lines(*ics).operations - ic_guest,
                ic_guest,
            )
        )
    return Table("Over time, from the first entry of a guest to its last exit", columns, rows)


def policies(replayed: Sequence[Replayed], model: CostModel, platform: str) -> Table:
    """Return what each policy would have done, and how long it takes by a cost set.

    Translation faults are in the note, as all policies have the same.
    """
    columns = (
        "policy",
        "refused",
        "traps",
        "DC to PoC",
        "dirty",
        "DC to PoU",
        "IC by VA",
        "whole IC",
        "set/way",
        "DSB",
        f"time ({model.name})",
    )
    rows: list[tuple[Cell, ...]] = []
    faults: set[tuple[int, int]] = set()
    for one in replayed:
        if one.why_not is not None:
            rows.append((one.policy, one.why_not))
            continue
        n = one.counts
        faults.add((n.stage2_faults, n.prefetch_faults))
        rows.append(
            (
                one.policy,
                n.permission_faults,
                n.traps_tvm + n.traps_tsw + n.traps_dc,
                n.dc_poc_dirty + n.dc_poc_clean + n.dc_poc_absent,
                n.dc_poc_dirty,
                n.dc_pou,
                n.ic_ivau,
                n.ic_iallu + n.ic_ialluis,
                n.set_way_lines,
                n.dsb,
                str(charge.cost(model, n)),
            )
        )
    said = " or ".join(
        f"{data:,} of data and {fetches:,} of fetches" for data, fetches in sorted(faults)
    )
    return Table(
        f"What each policy would have done, on {platform}",
        columns,
        rows,
        f"Translation faults on RAM: {said}; their time is in. Refused: fetches from, and writes to, "
        "pages mapped without that permission. A count says nothing about whether a policy is right: "
        "`pocwatch check` does.",
    )
