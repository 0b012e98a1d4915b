"""Guest RAM as a recording shows it: the pages behind memslots, and what user space wrote to them.

The hardware shows no memslots. But whoever writes guest RAM before the guest runs has it mapped, and a
memslot is one range of IPAs mapped to one range of its addresses: pages that user space wrote and the
guest touched give the distance between the two. What the same process wrote between (and adjoining) the
lowest and the highest of them is taken for guest RAM, too. A page that user space never wrote and the
guest never touched is not seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pocwatch.cost.recording.happenings import Touch, Written
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.tally import PAGE_BYTES


@dataclass(frozen=True, slots=True)
class GuestRam:
    """RAM of one guest, by IPA of its 4 KiB pages.

    `loaded`: bytes that user space wrote before the guest's first entry, since the page was allocated;
    counted each time that they are written. `written_later`: the same from then to the machine's end.
    `touched`: pages that the guest used.
    """

    loaded: Mapping[int, int]
    written_later: Mapping[int, int]
    touched: frozenset[int]

    @property
    def present(self) -> frozenset[int]:
        """Pages that were ever there: loaded or touched."""
        return self.touched | self.loaded.keys()


def _slots(
    pages: Mapping[int, Iterable[int]], loaded: Iterable[Written]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return, by process and distance of its addresses to IPAs, the lowest and highest address."""
    slots: dict[tuple[int, int], tuple[int, int]] = {}
    for written in loaded:
        for ipa in pages.get(written.pa, ()):
            key = written.process, written.va - ipa
            low, high = slots.get(key, (written.va, written.va))
            slots[key] = min(low, written.va), max(high, written.va)
    return slots


def guest_ram(recording: Recording, vm: int) -> GuestRam:
    """Return what is known of a guest's RAM."""
    pages: dict[int, set[int]] = defaultdict(set)  # IPAs by PA
    loaded: list[Written] = []
    later: list[Written] = []
    for h in recording.happenings:
        if isinstance(h, Touch) and h.vm == vm:
            pages[h.pa].add(h.ipa)
        elif isinstance(h, Written) and h.vm == vm:
            loaded.append(h)
        elif isinstance(h, Written):
            later.append(h)
    slots = _slots(pages, loaded)
    addresses = {(w.process, w.va) for w in loaded}
    found: dict[int, int] = defaultdict(int)
    found_later: dict[int, int] = defaultdict(int)
    for (process, distance), (low, high) in slots.items():
        while (process, low - PAGE_BYTES) in addresses:
            low -= PAGE_BYTES
        while (process, high + PAGE_BYTES) in addresses:
            high += PAGE_BYTES
        for written, into in ((loaded, found), (later, found_later)):
            for w in written:
                if w.process == process and low <= w.va <= high:
                    into[w.va - distance] += w.size_bytes
    touched = frozenset(ipa for ipas in pages.values() for ipa in ipas)
    return GuestRam(dict(found), dict(found_later), touched)
