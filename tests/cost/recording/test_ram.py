"""Which memory was guest RAM, from who wrote it."""

from __future__ import annotations

from pathlib import Path

from recordings import PAGE, entry, recording, touch, written

from pocwatch.cost.recording.ram import guest_ram

RAM, VA, PA = 0x8000_0000, 0x7000_0000, 0x4400_0000


def page(n: int) -> tuple[int, int]:
    """PA (in no order) and user space's address of a page of guest RAM."""
    return PA + (n * 7 % 64) * PAGE, VA + n * PAGE


def test_a_slot_is_what_its_writer_has_in_a_row(tmp_path: Path) -> None:
    """Pages 1 and 4 are used; 2, 3 lie between, 0 and 5 adjoin; 7 does not, nor another process's."""
    loaded = [written(1, *page(n), 100 + n) for n in (0, 1, 2, 3, 4, 5, 7)]
    other = written(1, PA + 99 * PAGE, VA + 6 * PAGE, 50, process=8)
    made = recording(
        tmp_path,
        *loaded,
        other,
        entry(2),
        touch(3, RAM + PAGE, pa=page(1)[0]),
        touch(4, RAM + 4 * PAGE, pa=page(4)[0]),
        touch(5, RAM + 9 * PAGE, pa=page(9)[0]),
    )
    ram = guest_ram(made, 1)
    assert ram.loaded == {RAM + n * PAGE: 100 + n for n in range(6)}
    assert ram.touched == {RAM + n * PAGE for n in (1, 4, 9)}
    assert len(ram.present) == 7


def test_what_is_written_later(tmp_path: Path) -> None:
    """A page of the slot by the same process; a page that another process got meanwhile is not."""
    made = recording(
        tmp_path,
        written(1, *page(0), 10),
        entry(2),
        touch(3, RAM, pa=page(0)[0]),
        written(9, *page(0), 5, vm=0),
        written(9, page(0)[0], VA, 6, process=8, vm=0),
    )
    assert guest_ram(made, 1).written_later == {RAM: 5}
