"""What a hypervisor's cleaning to the PoC was good for: how guests used the pages afterwards.

A bound, page by page, and for this run only: a guest that did other things, or another access of the
same guest to the page, might have depended on it; so might a device that is not coherent, which is not
seen. What reads depended on, line by line, is only found by leaving operations out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Op, Point
from pocwatch.cost.recording.happenings import Context, Maintenance, Touch
from pocwatch.cost.recording.reader import Recording
from pocwatch.cost.recording.record import Flag

PAST_CACHES = "used past the caches"
FETCHED = "fetched from through the caches, not used past them"
CACHED = "only used as data through the caches"
NOT_USED = "not used by a guest"
_FOR_GUESTS = (Context.FAULT, Context.MMU_TRAP, Context.SET_WAY_TRAP)


def _cleans_to_poc(op: Op) -> bool:
    kind = DATA_MAINTENANCE.get(op)
    return kind is not None and (kind.by, kind.point) == (By.VA, Point.POC)


def _uses(recording: Recording) -> Iterator[tuple[int, bool, bool]]:
    for h in recording.happenings:
        if isinstance(h, Touch):
            yield h.pa, bool(h.flags & Flag.PAST_CACHES), h.op is Op.IF


def later_use(recording: Recording) -> Counter[str]:
    """Return lines that a hypervisor maintained to the PoC for guests, by how their pages were used.

    Uses of any time count: the hypervisor's operation comes before the first. Where a page was used in
    several ways, the first of the list above.
    """
    past, fetched, used = set[int](), set[int](), set[int]()
    for pa, is_past, is_fetch in _uses(recording):
        used.add(pa)
        if is_past:
            past.add(pa)
        if is_fetch:
            fetched.add(pa)
    lines: Counter[str] = Counter()
    for h in recording.happenings:
        if isinstance(h, Maintenance) and h.context in _FOR_GUESTS and _cleans_to_poc(h.op):
            how = PAST_CACHES if h.pa in past else FETCHED if h.pa in fetched else CACHED
            lines[how if h.pa in used else NOT_USED] += h.count
    return lines
