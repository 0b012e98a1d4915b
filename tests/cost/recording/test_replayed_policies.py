"""What policies would have done, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import (
    CISW,
    DATA_TRANSLATION,
    ON,
    PAGE,
    PERMISSION,
    SCTLR,
    TRAPPED,
    WNR,
    Event,
    entry,
    fault,
    recording,
    system,
    tlbi,
    touch,
    trap,
    written,
)

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.cost.counts import Counts
from pocwatch.cost.recording.record import Flag
from pocwatch.cost.recording.replay import Replayed, not_known, replay
from pocwatch.kvm import policy
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import Access, Occasion

XGENE = platforms.load("xgene-l3")
LINES = PAGE // 64
IF, LD = Op.IF, Op.LD
MAIR = system(3, 0, 10, 2, 0)
WRITE_REFUSED = DATA_TRANSLATION | PERMISSION | WNR


def of(folder: Path, name: str, *events: Event, platform: platforms.Platform = XGENE) -> Replayed:
    (one,) = replay(recording(folder, entry(1), *events), platform, [POLICIES[name]])
    return one


def test_the_order_of_uses_decides_which_faults_there_are(tmp_path: Path) -> None:
    """Page 1 is read, then fetched; page 2 is fetched first; page 3 is used twice."""
    events = [
        *(touch(2, PAGE), touch(3, PAGE, IF)),
        *(touch(4, 2 * PAGE, IF), touch(5, 2 * PAGE)),
        *(touch(6, 3 * PAGE), touch(7, 3 * PAGE, LD, ON)),
    ]
    mainline = of(tmp_path, "mainline-2021", *events)
    assert mainline.counts == Counts(
        stage2_faults=2,
        prefetch_faults=1,
        permission_faults=1,
        dc_poc_dirty=3 * LINES,
        ic_ivau=2 * LINES,
        dsb=3 + 2,
    )
    assert mainline.occasions == {"at_map": (3, 3), "at_permission_fault": (1, 1)}
    assert mainline.operations == {
        Op.DC_CIVAC: 3 * LINES,
        Op.IC_IVAU: 2 * LINES,
        Op.DSB: 5,
        Op.ISB: 2,
    }
    patch = of(tmp_path, "poc-on-fault", *events).counts
    assert patch.permission_faults == 0
    assert (patch.dc_poc_dirty, patch.dc_pou, patch.ic_ivau) == (3 * LINES,) * 3
    assert patch.dsb == 3 * 3
    assert of(tmp_path, "none", *events).counts == Counts(stage2_faults=2, prefetch_faults=1)


def test_only_faults_with_caches_off(tmp_path: Path) -> None:
    events = [touch(2, PAGE, IF), touch(3, 2 * PAGE, LD, ON), touch(4, 3 * PAGE, LD, Flag.MMU_ON)]
    counts = of(tmp_path, "poc-on-fault-mmu-off", *events).counts
    assert counts.dc_poc_dirty == 2 * LINES


def test_a_block_is_one_fault(tmp_path: Path) -> None:
    """2 MiB behind one entry: cleaned at once, with one barrier; later uses of it do not fault."""
    block = 512 * PAGE
    events = [touch(2, block + 5 * PAGE, log2=21), touch(3, block + 9 * PAGE, log2=21)]
    counts = of(tmp_path, "mainline-2021", *events).counts
    assert counts == Counts(stage2_faults=1, dc_poc_dirty=512 * LINES, dsb=1)
    xen = of(tmp_path, "xen-2014", *events)
    assert xen.occasions == {"at_allocation": (512, 512)}


def test_what_user_space_wrote_is_there_at_first_run(tmp_path: Path) -> None:
    """Three pages are loaded, of which one is used, and another page is used."""
    loaded = [written(0, n * PAGE, (64 + n) * PAGE, 9) for n in (1, 2, 3)]
    made = recording(tmp_path, *loaded, entry(1), touch(2, 2 * PAGE), touch(3, 9 * PAGE))
    names = ["clean-ram-at-first-run", "user-space", "xen-2014", "setway-at-first-run"]
    ram, user, xen, sets = replay(made, XGENE, [POLICIES[name] for name in names])
    assert ram.occasions["at_first_run"] == (1, 3)
    assert ram.counts.dc_poc_dirty == 3 * LINES
    assert ram.counts.dsb == 3 + 2 * 2
    assert user.occasions["at_user_space_write"] == (3, 3)
    assert user.operations[Op.DC_CVAC] == 3 * LINES
    assert (xen.occasions["at_allocation"], xen.occasions["at_user_space_write"]) == (
        (4, 4),
        (3, 3),
    )
    assert xen.counts.dc_poc_dirty == (4 + 3) * LINES
    # L1D 32 KiB and L2 256 KiB; set/way does not reach the L3.
    assert sets.counts.set_way_lines == (32 + 256) * 1024 // 64


def test_caches_on_and_off(tmp_path: Path) -> None:
    """Writes of registers are trapped up to the one that sets M and C; then the guest is not seen.

    mainline-2014 cleans all pages then: the first is not dirty since its fault, the second is.
    """
    events = [
        touch(2, PAGE),
        touch(3, 2 * PAGE, LD, ON),
        *(trap(4, MAIR, 0xFF), entry(5), trap(6, SCTLR, 0x1), entry(7), trap(8, SCTLR, 0x1005)),
        *(entry(9), trap(10, MAIR, 0, ON), entry(11), trap(12, SCTLR, 0, ON)),
    ]
    one = of(tmp_path, "mainline-2014", *events)
    assert one.counts.traps_tvm == 3
    assert one.occasions["at_mmu_trap"] == (1, 2)
    assert (one.counts.dc_poc_dirty, one.counts.dc_poc_absent) == (2 * LINES, LINES)
    # HCR_EL2.DC is done with when M is set.
    assert of(tmp_path, "default-cacheable", *events).counts.traps_tvm == 2
    assert of(tmp_path, "poc-on-fault", *events).counts.traps_tvm == 0


def test_set_way(tmp_path: Path) -> None:
    """The first with TVM clear cleans all and sets TVM; the next is only trapped, up to caches on."""
    events = [
        *(touch(2, PAGE), trap(3, SCTLR, 0x5), entry(4)),
        *(trap(5, CISW, flags=ON), entry(6), trap(7, CISW, flags=ON), entry(8)),
        *(trap(9, SCTLR, 0, ON), entry(10), trap(11, CISW), entry(12)),
    ]
    one = of(tmp_path, "mainline-2021", *events)
    assert (one.counts.traps_tsw, one.counts.traps_tvm) == (3, 2)
    assert one.occasions["at_set_way_trap"] == (1, 1)
    assert one.occasions["at_mmu_trap"] == (2, 2)
    assert of(tmp_path, "mainline-2014", *events).counts.traps_tsw == 0


def test_unmapping(tmp_path: Path) -> None:
    """A TLBI outside faults; the page is mapped again when it is used. In a fault it is none."""
    events = [
        touch(2, PAGE),
        *(trap(3, SCTLR, 0x5), tlbi(4, PAGE), tlbi(5, 7 * PAGE), tlbi(6), entry(7)),
        touch(8, PAGE),
        *(fault(9, PAGE, WRITE_REFUSED), tlbi(10, PAGE), entry(11)),
        touch(12, PAGE),
    ]
    one = of(tmp_path, "mainline-2021", *events)
    assert one.occasions["at_unmap"] == (1, 1)
    assert one.counts.stage2_faults == 2
    assert one.counts.permission_faults == 1


def test_another_vcpu_of_the_vm(tmp_path: Path) -> None:
    """On PE 0: vCPUs 0, 0, 1, 0; on PE 1: vCPU 1."""
    events = [entry(2), entry(3, 1, pe=1), entry(4, 1), entry(5)]
    one = of(tmp_path, "mainline-2021", *events)
    assert one.counts == Counts(ic_iallu=2, dsb=2)
    assert one.occasions == {"at_vcpu_load": (2, 0)}


def test_guests_are_apart(tmp_path: Path) -> None:
    other = touch(4, PAGE)
    other.vm = 2
    started = entry(3)
    started.vm = 2
    assert of(tmp_path, "none", touch(2, PAGE), started, other).counts.stage2_faults == 2


class Watching:
    """Writes down what its hooks are told."""

    name, origin = "watching", "here"

    def __init__(self) -> None:
        self.told: list[tuple[Access | None, bool, bool]] = []

    def at_map(self, occasion: Occasion) -> tuple[Op, ...]:
        self.told.append((occasion.access, occasion.caches_on, occasion.executable))
        return ()


def test_what_hooks_are_told(tmp_path: Path) -> None:
    """A use is a write if the fault before it was one, and a walk reads."""
    author = Watching()
    made = recording(
        tmp_path,
        *(entry(1), fault(2, PAGE, DATA_TRANSLATION | WNR), entry(3), touch(4, PAGE)),
        *(touch(5, 2 * PAGE, IF, ON), touch(6, 3 * PAGE, Op.TW, ON)),
    )
    replay(made, XGENE, [policy.of(author)])
    assert author.told == [
        (Access.WRITE, False, True),
        (Access.FETCH, True, True),
        (Access.READ, True, True),
    ]


def test_platforms(tmp_path: Path) -> None:
    """A policy that does not apply says why; with FWB mainline neither traps nor cleans."""
    events = [touch(2, PAGE), touch(3, PAGE, IF), trap(4, SCTLR, 0x5)]
    assert of(tmp_path, "fwb", *events).why_not == "xgene-l3 has no FEAT_S2FWB"
    fwb = of(tmp_path, "mainline-2021", *events, platform=platforms.load("fwb")).counts
    assert fwb == Counts(stage2_faults=1, permission_faults=1, ic_ivau=LINES, dsb=1)


def test_every_policy_is_replayed(tmp_path: Path) -> None:
    made = recording(tmp_path, entry(1), touch(2, PAGE))
    assert [one.policy for one in replay(made, XGENE)] == list(POLICIES)


@pytest.mark.parametrize(
    ("flags", "missing"),
    [(TRAPPED, []), (Flag.TRAPS_SET_WAY, ["TVM"]), (Flag.TRAPS_MMU, ["TSW"]), (ON, ["TSW"])],
)
def test_what_is_not_known(tmp_path: Path, flags: Flag, missing: list[str]) -> None:
    said = not_known(recording(tmp_path, entry(1, flags=flags)))
    assert len(said) == len(missing)
    assert all(word in sentence for word, sentence in zip(missing, said, strict=True))
