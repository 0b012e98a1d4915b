"""What the judge adds to the line model: exemptions, healing, histories, rules, kinds of finding."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import pytest
from judge import RAM_BASE, Judge

from pocwatch import platforms
from pocwatch.arch.ops import Kind, Op
from pocwatch.line.word import parse
from pocwatch.trace import records
from pocwatch.trace.records import FindingKind, Flag

NOP = 0xD503201F
BRANCH = 0x14000001  # B .+4
MOV_X0_0 = 0xD2800000
MOV_X0_1 = 0xD2800020
PUBLISH = "P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P0 isb"


class Machine:
    """A judge as `run` has it (it heals and exempts), and the RAM it watches."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        with open(judge.config.ram_path.decode(), "r+b") as file:
            self.ram = mmap.mmap(file.fileno(), 0)

    def do(self, word: str, *, line: int = 0) -> None:
        """Run a word's steps on a line, all PEs keeping what is in flight."""
        for step in parse(word):
            self.judge._do(step, RAM_BASE + 64 * line)

    def put(self, instruction: int, *, line: int = 0) -> None:
        """Change the first instruction of a line in RAM, as a store would."""
        self.ram[64 * line : 64 * line + 4] = instruction.to_bytes(4, "little")

    def patch(self, instruction: int, *, line: int = 0) -> None:
        """Let PE 0 store an instruction as the kernel patches one: four bytes, aligned."""
        self.put(instruction, line=line)
        cpu, site = ctypes.byref(self.judge.cpus[0]), self.judge.sites[0]
        pa = RAM_BASE + 64 * line
        page = self.judge._page(pa, Kind.WB)
        self.judge.library.pw_data_call(cpu, site, page, ctypes.c_uint64(pa), 4, int(Op.ST))

    def run_as(self, *, vm_id: int, pe: int = 0) -> None:
        """Let the PE be in a VM, or in the host with `vm_id` 0."""
        self.judge.cpus[pe].vm = bool(vm_id)
        self.judge.cpus[pe].vm_id = vm_id

    def findings(self) -> list[records.Finding]:
        """Return the findings in the run file."""
        data = Path(self.judge.config.run_path.decode()).read_bytes()
        size = ctypes.sizeof(records.Finding)
        start = ctypes.sizeof(records.RunHeader)
        return [
            records.Finding.from_buffer_copy(data, start + i * size)
            for i in range(self.judge.header.n_findings)
        ]

    def kinds(self) -> list[FindingKind]:
        """Return the kinds of the findings, each as often as it was counted."""
        return [FindingKind(f.kind) for f in self.findings() for _ in range(f.count)]


def make(
    plugin: ctypes.CDLL, folder: Path, name: str = "xgene-l3", rules: str = "", **config: object
) -> Machine:
    """Return a machine on a platform; `config` are fields of the judge's configuration."""
    judge = Judge(plugin, folder, platforms.load(name), 256, pes=2)
    if rules:
        (folder / "rules").write_text(rules)
        judge.config.rules_path = str(folder / "rules").encode()
    judge.config.keep_stale = False
    for key, value in config.items():
        setattr(judge.config, key, value)
    error = ctypes.create_string_buffer(256)
    assert plugin.pw_judge_open(ctypes.byref(judge.config), error, 256), error.value
    plugin.pw_sees_every_fetch()
    judge.header = plugin.pw_run_header().contents
    return Machine(judge)


@pytest.fixture
def machine(plugin: ctypes.CDLL, tmp_path: Path) -> Machine:
    return make(plugin, tmp_path)


def test_a_stale_line_is_reported_once_and_then_healed(machine: Machine) -> None:
    machine.do("P0 st wb; P1 ld nc; P1 ld nc; P1 ld nc")
    assert machine.kinds() == [FindingKind.STALE_READ]


def test_findings_of_one_site_are_counted(machine: Machine) -> None:
    for line in range(5):
        machine.do("P0 st wb; P1 ld nc", line=line)
    (finding,) = machine.findings()
    assert finding.count == 5


def test_a_neighbour_cell_of_a_stale_one_is_fresh(machine: Machine) -> None:
    machine.do("P0 st wb; P1 ld nc +8")
    assert machine.kinds() == []


def test_an_access_over_two_cells_sees_the_second(machine: Machine) -> None:
    machine.do("P0 st wb +8")
    cpu, site = ctypes.byref(machine.judge.cpus[1]), machine.judge.sites[1]
    page = machine.judge._page(RAM_BASE, parse("P1 ld nc")[0].kind)
    machine.judge.library.pw_data_call(cpu, site, page, ctypes.c_uint64(RAM_BASE + 4), 8, Op.LD)
    (finding,) = machine.findings()
    assert finding.cell == 1


def test_dirty_line_over_uncached_write_is_a_lost_write(machine: Machine) -> None:
    """Facts C10: bytes in the same granule may revert to old values on write-back."""
    machine.do("P0 st wb +8; P0 st nc; P0 dsb; P1 ld wb")
    assert machine.kinds() == [FindingKind.LOST_WRITE]


def test_stale_walk_and_dma_have_kinds_of_their_own(machine: Machine) -> None:
    machine.do("P0 st wb; P1 tw nc", line=1)
    machine.do("P0 st wb; D0 rd noncoherent", line=2)
    assert machine.kinds() == [FindingKind.STALE_WALK, FindingKind.DMA_STALE_READ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NOP, BRANCH, []),  # both of the concurrent modification set: facts C14
        (BRANCH, NOP, []),
        (NOP, MOV_X0_0, [FindingKind.STALE_FETCH]),
        (MOV_X0_0, NOP, [FindingKind.STALE_FETCH]),
        (MOV_X0_0, MOV_X0_1, [FindingKind.STALE_FETCH]),
        (MOV_X0_0, MOV_X0_0, []),  # the same word
    ],
)
def test_which_changed_instructions_may_be_met(
    machine: Machine, before: int, after: int, expected: list[FindingKind]
) -> None:
    machine.put(before)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    machine.put(after)
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P0 if wb")  # no IC: the I-side alone is stale
    assert machine.kinds() == expected


@pytest.mark.parametrize("invalidation", ["ic ivau", "ic ialluis"])
@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("P0 {ic}", "P0 st wb; P0 dc cvau; P0 dsb"),
        ("", "P0 st wb; P0 {ic}; P0 dsb; P0 dc cvau; P0 dsb"),
        ("", "P0 st wb; P0 dc cvau; P0 {ic}; P0 dsb"),  # no DSB: the IC may act before the clean
    ],
)
def test_an_invalidation_too_early_is_none(
    machine: Machine, invalidation: str, early: str, late: str
) -> None:
    """What the I-cache took in before the clean is not what RAM holds when the IC is complete."""
    machine.put(MOV_X0_0)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    if early:
        machine.do(early.format(ic=invalidation))
    machine.put(MOV_X0_1)
    machine.do(late.format(ic=invalidation) + "; P0 isb; P0 if wb")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(BRANCH, NOP, []), (NOP, MOV_X0_0, [FindingKind.STALE_FETCH])],
)
def test_a_jump_label_may_be_met_before_it_is_cleaned(
    machine: Machine, before: int, after: int, expected: list[FindingKind]
) -> None:
    """An interrupt comes between write and maintenance. Facts C14; docs/findings.md."""
    machine.put(before)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    machine.patch(after)
    machine.do("P1 if wb")
    assert machine.kinds() == expected


def test_a_line_that_was_not_executed_is_no_jump_label(machine: Machine) -> None:
    machine.put(BRANCH)
    machine.do("P0 st wb")
    machine.do(PUBLISH)
    machine.patch(NOP)
    machine.do("P1 if wb")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_a_page_loaded_anew_is_no_jump_label(machine: Machine) -> None:
    machine.put(BRANCH)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    machine.do("P0 dc zva")
    machine.patch(NOP)
    machine.do("P1 if wb")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_invalidations_of_everything_reach_lines_looked_at_much_later(machine: Machine) -> None:
    """Lines learn of an IC by all when they are looked at: more of them than epochs are kept for."""
    for line in (1, 2):
        machine.put(MOV_X0_1, line=line)
        machine.do("P0 st wb; P0 dc civac; P0 dsb", line=line)
    machine.do("P0 ic ialluis; P0 dsb; P0 isb")
    for _ in range(200):
        machine.do("P0 ic ialluis; P0 dsb")
    machine.do("P0 if wb", line=1)
    assert machine.kinds() == []
    machine.put(MOV_X0_0, line=2)
    machine.do("P0 st wb; P0 dc civac; P0 dsb; P0 if wb", line=2)
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_a_patch_after_an_invalidation_of_everything_is_seen(machine: Machine) -> None:
    """The line learns of the IC by all at the store, when RAM has the new instruction already."""
    machine.do("P0 if wb", line=9)  # the machine starts: RAM is kept as it is now
    machine.put(NOP)
    machine.do("P0 st wb; P0 dc civac; P0 dsb; P0 ic ialluis; P0 dsb; P0 isb")
    machine.patch(MOV_X0_0)
    machine.do("P0 dc civac; P0 dsb; P0 if wb")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_the_exemption_never_covers_a_stale_memory_view(machine: Machine) -> None:
    """Design: that mistake hid 200,404 true findings."""
    machine.put(NOP)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    machine.put(BRANCH)
    machine.do("P0 st wb; P0 if wb")  # not cleaned to the PoU
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_published_code_is_clean_and_unsynced_without_isb(
    plugin: ctypes.CDLL, tmp_path: Path
) -> None:
    machine = make(plugin, tmp_path, report_unsynced=True)
    machine.put(MOV_X0_1)
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P0 isb; P0 if wb")
    assert machine.kinds() == []
    machine.do("P1 if wb")
    assert machine.kinds() == [FindingKind.UNSYNCED_FETCH]
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P1 isb; P1 if wb", line=3)
    assert machine.kinds() == [FindingKind.UNSYNCED_FETCH]


def test_another_vms_bytes_are_a_leak(machine: Machine) -> None:
    """Facts B8.26 (XSA-364): a page recycled without clean, read by a guest with its MMU off."""
    machine.run_as(vm_id=1)
    machine.do("P0 st wb")
    machine.run_as(vm_id=0)
    machine.do("P0 dc zva")  # the host scrubs the page and does not clean it
    machine.run_as(vm_id=2)
    machine.do("P0 ld dev")
    assert machine.kinds() == [FindingKind.LEAK]


@pytest.mark.parametrize(
    ("published", "kind"),
    [
        ("P0 dc civac; P0 dsb; P0 ic ivau; P0 dsb", FindingKind.STALE_FETCH),
        ("P0 dc civac; P0 dsb", FindingKind.LEAK),  # an instruction cache may still hold it
        ("P0 ic ivau; P0 dsb; P0 dc civac; P0 dsb", FindingKind.LEAK),  # and refill with it
        ("P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb", FindingKind.LEAK),  # memory still has it
        ("", FindingKind.LEAK),
    ],
)
def test_what_was_overwritten_and_published_leaks_no_more(
    machine: Machine, published: str, kind: FindingKind
) -> None:
    """A page goes from one guest to the next: what that one then does wrong shows its own bytes."""
    machine.run_as(vm_id=1)
    machine.put(MOV_X0_0)
    machine.do(f"P0 st wb; {PUBLISH}; P0 if wb")
    machine.run_as(vm_id=0)
    machine.put(MOV_X0_1)
    machine.do(f"P0 st wb; {published}")
    machine.run_as(vm_id=2)
    machine.put(BRANCH)
    machine.do("P0 st wb; P0 if wb")
    assert machine.kinds() == [kind]


def test_a_scrub_that_changes_no_state_counts_where_it_comes_before_the_clean(
    machine: Machine,
) -> None:
    """The line is dirty already, so that the scrub is no event of its history."""
    machine.run_as(vm_id=1)
    machine.put(MOV_X0_0)
    machine.do("P0 st wb")
    machine.run_as(vm_id=0)
    machine.put(MOV_X0_1)
    machine.do("P0 st wb; P0 dc civac; P0 dsb; P0 ic ivau; P0 dsb")
    machine.run_as(vm_id=2)
    machine.put(BRANCH)
    machine.do("P0 st wb; P0 if wb")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_a_page_that_is_cleaned_and_then_scrubbed_leaks(machine: Machine) -> None:
    """Facts B8.26 (XSA-364), word for word."""
    machine.run_as(vm_id=1)
    machine.do("P0 st wb")
    machine.run_as(vm_id=0)
    machine.do("P0 dc civac; P0 dsb; P0 dc zva")
    machine.run_as(vm_id=2)
    machine.do("P0 ld dev")
    assert machine.kinds() == [FindingKind.LEAK]


def test_a_vms_own_bytes_are_no_leak(machine: Machine) -> None:
    machine.run_as(vm_id=2)
    machine.do("P0 st wb; P0 ld dev")
    assert machine.kinds() == [FindingKind.STALE_READ]


def test_dropped_maintenance_is_forgotten_told_and_counted(
    plugin: ctypes.CDLL, tmp_path: Path
) -> None:
    rules = f"0 drop {Op.DC_CIVAC} -1 pc 1000 1004\n"  # PE 0's site is at 0x1000
    machine = make(plugin, tmp_path, rules=rules)
    machine.do("P1 st wb; P0 dc civac; P0 dsb; P1 ld nc", line=0)
    machine.do("P1 st wb; P1 dc civac; P1 dsb; P1 ld nc", line=1)
    (finding,) = machine.findings()
    events = list(finding.history[: finding.n_history])
    dropped = [e for e in events if e.flags & Flag.DROPPED]
    assert [(e.op, e.rule) for e in dropped] == [(Op.DC_CIVAC, 0)]
    assert machine.judge.header.matched[0] == 1
    assert machine.judge.header.maintenance[Op.DC_CIVAC] == 2


def test_weakened_maintenance_does_less(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    """The 2013 patch in reverse: facts A1."""
    rules = f"0 weaken {Op.DC_CIVAC} {Op.DC_CVAU} any 0 0\n"
    machine = make(plugin, tmp_path, rules=rules)
    machine.do("P0 st wb; P0 dc civac; P0 dsb; P1 tw wb; P1 ld nc")
    assert machine.kinds() == [FindingKind.STALE_READ]
    (finding,) = machine.findings()
    assert any(e.flags & Flag.WEAKENED and e.op == Op.DC_CVAU for e in finding.history)


def test_completed_maintenance_is_marked(machine: Machine) -> None:
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P0 dc cvac; P1 ld nc")
    (finding,) = machine.findings()
    told = {
        Op(e.op): bool(e.flags & Flag.COMPLETED)
        for e in finding.history[: finding.n_history]
        if e.op in (Op.DC_CVAU, Op.DC_CVAC)
    }
    assert told == {Op.DC_CVAU: True, Op.DC_CVAC: False}


def test_redundant_operations_are_counted(machine: Machine) -> None:
    machine.do("P0 st wb; P0 dc civac; P0 dsb; P0 dc civac; P0 dsb")
    assert machine.judge.header.redundant[Op.DC_CIVAC] == 1


@pytest.mark.parametrize("content", [b"", b"POCWATCH" * 1000])
def test_a_table_of_another_version_is_refused(
    plugin: ctypes.CDLL, tmp_path: Path, content: bytes
) -> None:
    machine = make(plugin, tmp_path)
    Path(machine.judge.config.table_path.decode()).write_bytes(content)
    error = ctypes.create_string_buffer(256)
    assert not plugin.pw_judge_open(ctypes.byref(machine.judge.config), error, 256)
    assert b"not a line automaton of this version" in error.value


READY = "P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb; P0 dc cvac; P0 dsb; P0 isb"
"""Code made with the MMU on: its memory was stale while its I-cache was invalidated, and is not now."""


def test_no_icache_read_memory_before_the_first_uncached_fetch_of_a_page(machine: Machine) -> None:
    """Arm ARM: with stage 1 off, fetches are only from the 4 KiB of code that runs, and the next.

    EDK2 loads Linux's EFI stub so, and the stub turns the MMU off behind its last clean.
    """
    machine.do(READY)
    machine.do("P0 mmu off; P0 if nc")
    assert machine.kinds() == []


@pytest.mark.parametrize("page", [0, 1])
def test_after_an_uncached_fetch_in_the_page_or_the_one_before_it_may_have(
    machine: Machine, page: int
) -> None:
    machine.do("P1 if nc", line=3)
    machine.do(READY, line=64 * page)
    machine.do("P0 mmu off; P0 if nc", line=64 * page)
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_an_uncached_fetch_two_pages_before_is_too_far_away(machine: Machine) -> None:
    machine.do("P1 if nc", line=3)
    machine.do(READY, line=128)
    machine.do("P0 mmu off; P0 if nc", line=128)
    assert machine.kinds() == []


def test_memory_that_is_stale_at_the_first_uncached_fetch_may_be_read_ahead(
    machine: Machine,
) -> None:
    """Of another line: its clean comes after a speculative fetch could have been."""
    machine.do("P0 st wb; P0 dc cvau; P0 dsb; P0 ic ivau; P0 dsb")
    machine.do("P1 if nc", line=5)
    machine.do("P0 dc cvac; P0 dsb; P0 isb; P1 if nc")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_what_cacheable_fetches_left_is_still_there_for_an_uncached_one(machine: Machine) -> None:
    machine.do("P0 st wb; P0 dc cvac; P0 dsb; P0 mmu off; P0 if nc")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_with_the_mmu_on_uncached_fetches_are_from_anywhere(machine: Machine) -> None:
    pa = ctypes.c_uint64(RAM_BASE + 64 * 3)
    page = machine.judge._page(pa.value, Kind.NC, mmu_on=True)
    cpu, site = ctypes.byref(machine.judge.cpus[1]), machine.judge.sites[1]
    machine.judge.library.pw_fetch_call(cpu, site, page, pa, 1)
    machine.do(READY, line=128)
    machine.do("P0 mmu off; P0 if nc", line=128)
    assert machine.kinds() == [FindingKind.STALE_FETCH]


COPIED = "P0 st dev; P0 dsb; P0 isb"
"""Code copied with the MMU off, without maintenance: U-Boot's relocation."""


@pytest.mark.parametrize(("outside", "expected"), [(True, []), (False, [FindingKind.STALE_FETCH])])
def test_after_reset_icaches_hold_what_was_executed(
    plugin: ctypes.CDLL, tmp_path: Path, outside: bool, expected: list[FindingKind]
) -> None:
    """A machine that begins in RAM was given its code by software that ran with caches on."""
    machine = make(plugin, tmp_path, start_on=0)
    if outside:
        plugin.pw_began_outside()
    machine.do(f"{COPIED}; P0 if nc")
    assert machine.kinds() == expected


def test_after_reset_code_that_ran_and_is_copied_again_may_be_old(
    plugin: ctypes.CDLL, tmp_path: Path
) -> None:
    machine = make(plugin, tmp_path, start_on=0)
    plugin.pw_began_outside()
    machine.do(f"{COPIED}; P0 if nc; {COPIED}; P0 if nc")
    assert machine.kinds() == [FindingKind.STALE_FETCH]


def test_once_an_mmu_was_on_icaches_may_hold_anything(plugin: ctypes.CDLL, tmp_path: Path) -> None:
    machine = make(plugin, tmp_path, start_on=0)
    plugin.pw_began_outside()
    machine.do(f"P0 mmu on; P0 mmu off; {COPIED}; P0 if nc")
    assert machine.kinds() == [FindingKind.STALE_FETCH]
