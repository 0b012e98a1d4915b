"""How a stale read can happen: which operation acts late, which line is evicted or filled when.

Two shortest paths. First over the branches of `pending.PendingCell`: when does each pending operation
take effect so that the read ends in a stale state. Then, with that settled, over configurations: the
fewest silent moves of the caches that put a stale copy where the read looks.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pocwatch.arch.ops import DATA_MAINTENANCE, OUTER_MAINTENANCE, Kind, Op
from pocwatch.line import model
from pocwatch.line.automaton import MAINTENANCE_EVENT, Event, Subsets
from pocwatch.line.line import read_kind, step_cell
from pocwatch.line.model import Caches
from pocwatch.line.pending import Branch, PendingCell, queued, without_effect
from pocwatch.line.table import fetched_as
from pocwatch.line.word import Step
from pocwatch.platforms import Platform


@dataclass(frozen=True, slots=True)
class Happening:
    """One event on the way to a stale read: what the caches see, and in words if it is no step."""

    event: Event | None
    fill: int
    after_step: int
    words: str = ""


# --- When pending operations take effect ------------------------------------------------------


@functools.lru_cache(maxsize=1 << 16)
def _origins(cell: PendingCell, step: Step, own: bool) -> dict[Branch, tuple[Branch, tuple[int, ...]]]:
    """Return, for each branch after a step, a branch before it and the PEs whose operations act.

    The operations act after the step, first of each queue first; fewest first.
    """
    origins: dict[Branch, tuple[Branch, tuple[int, ...]]] = {}
    todo: deque[Branch] = deque()
    for before in sorted(cell.branches, key=_most_pending):
        alone = PendingCell(
            cell.automaton, frozenset({before}), cell.mmu_off, cell.pes, cell.uncached_stores
        )
        for after in _unsettled(alone, step, own):
            if after not in origins:
                origins[after] = (before, ())
                todo.append(after)
    fill = step_cell(cell, step, own=own).fill
    while todo:
        branch = todo.popleft()
        before, acted = origins[branch]
        for pe, queue in branch.queues:
            event = MAINTENANCE_EVENT[queue[0].op]
            state = cell.automaton.delta[fill][event][branch.state]
            after = branch._replace(state=state).with_queue(pe, queue[1:])
            if after not in origins:
                origins[after] = (before, (*acted, pe))
                todo.append(after)
    return origins


def _most_pending(branch: Branch) -> tuple[int, Branch]:
    return -sum(len(queue) for _, queue in branch.queues), branch


def _unsettled(alone: PendingCell, step: Step, own: bool) -> Sequence[Branch]:
    """Return what a branch becomes by the step itself, nothing else taking effect."""
    if step.op in DATA_MAINTENANCE:
        (before,) = alone.branches
        issued = _issued(before, step, alone)
        # After an uncached store of the PE it may act as if it came before that store.
        return [issued, before] if step.agent in alone.uncached_stores else [issued]
    after = step_cell(alone, step, own=own)
    if not after.branches:
        return ()
    most = max(sum(len(q) for _, q in b.queues) for b in after.branches)
    return [b for b in after.branches if sum(len(q) for _, q in b.queues) == most]


def _came_before(
    before: Branch, after: Branch, step: Step, cell: PendingCell, acted: Sequence[int]
) -> bool:
    """Return whether maintenance acted as if it came before the PE's own uncached store."""
    if step.op not in DATA_MAINTENANCE or step.agent not in cell.uncached_stores:
        return False
    issued = _issued(before, step, cell)
    queue = issued.queue(step.agent)[acted.count(step.agent) :]
    return issued != before and queue != after.queue(step.agent)


def _issued(before: Branch, step: Step, cell: PendingCell) -> Branch:
    platform = cell.automaton.platform
    if without_effect(platform, step.op):
        return before
    return before.with_queue(step.agent, queued(platform, before.queue(step.agent), step.op))


def _event(step: Step, *, own: bool) -> Event | None:
    if step.op in (Op.ST, Op.DC_ZVA):
        kind = Kind.WB if step.op is Op.DC_ZVA else read_kind(step)
        if kind is Kind.WB:
            return Event.ST_WB if own or step.op is Op.DC_ZVA else Event.ST_WB_NEIGHBOUR
        if not own:
            return None
        return Event.ST_WT if kind is Kind.WT else Event.ST_NC
    if step.op is Op.DMA_WR:
        if not own:
            return None
        return Event.WR_COHERENT if step.coherent else Event.ST_NC
    if step.op in (Op.LD, Op.TW, Op.DMA_RD) and read_kind(step) in (Kind.WB, Kind.WT):
        return Event.LD_CACHED
    return MAINTENANCE_EVENT[step.op] if step.op in OUTER_MAINTENANCE else None


def happenings(
    cells: Sequence[PendingCell], steps: Sequence[Step], index: int, end: Branch
) -> list[Happening]:
    """Return the events on a way to `end`, a branch of the last cell; `cells[k]` is before step k."""
    story: list[list[Happening]] = []
    branch = end
    for at in range(len(cells) - 2, -1, -1):
        step = steps[at]
        own = step.offset // 8 == index
        before, acted = _origins(cells[at], step, own)[branch]
        mine = [Happening(_event(step, own=own), cells[at].fill, at)]
        if _came_before(before, branch, step, cells[at], acted):
            words = f"P{step.agent}'s {step.op.spelling} acts before its own uncached store: no effect"
            mine.append(Happening(None, cells[at].fill, at, words))
        at_issue = _issued(before, step, cells[at]) if step.op in DATA_MAINTENANCE else before
        if mine[-1].words:
            at_issue = before
        queues = {pe: list(queue) for pe, queue in at_issue.queues}
        for pe in acted:
            op = queues[pe].pop(0).op
            mine.append(
                Happening(
                    MAINTENANCE_EVENT[op],
                    cells[at + 1].fill,
                    at,
                    f"P{pe}'s {op.spelling} takes effect",
                )
            )
        story.append(mine)
        branch = before
    return [happening for mine in reversed(story) for happening in mine]


# --- Which caches move when --------------------------------------------------------------------


class Moves:
    """A platform's configurations as a graph: silent moves with their words, and events."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.subsets = Subsets(platform)
        caches = self.subsets.caches
        self.silent: list[list[list[tuple[int, str]]]] = [
            [
                [
                    (self.subsets.index[after], _in_words(words, platform))
                    for words, after in model.silent_moves(c, fill=bool(fill))
                ]
                for c in caches
            ]
            for fill in (0, 1)
        ]
        self.start: Distances = ((self.subsets.index[model.at_reset(platform)], 0),)

    @functools.cached_property
    def images(self) -> dict[Event, list[list[int]]]:
        """What each event makes of each configuration, as indices."""
        return {
            event: [[i for i in range(len(self.subsets.caches)) if mask >> i & 1] for mask in row]
            for event, row in self.subsets.images.items()
        }


Distances = tuple[tuple[int, int], ...]  # (configuration, fewest moves), sorted


@functools.cache
def _moves(platform: Platform) -> Moves:
    return Moves(platform)


@functools.lru_cache(maxsize=1 << 14)
def _spread(
    platform: Platform, distances: Distances, fill: int
) -> tuple[dict[int, int], dict[int, tuple[int, str]]]:
    """Return the fewest moves to each configuration, and its last silent move."""
    silent = _moves(platform).silent[fill]
    best = dict(distances)
    last: dict[int, tuple[int, str]] = {}
    levels: dict[int, list[int]] = {}
    for configuration, moves in distances:
        levels.setdefault(moves, []).append(configuration)
    moves = min(levels)
    while levels:
        for configuration in levels.pop(moves, ()):
            if best[configuration] < moves:
                continue
            for after, words in silent[configuration]:
                if after not in best or best[after] > moves + 1:
                    best[after] = moves + 1
                    last[after] = (configuration, words)
                    levels.setdefault(moves + 1, []).append(after)
        moves += 1
    return best, last


@functools.lru_cache(maxsize=1 << 14)
def _happen(
    platform: Platform, distances: Distances, fill: int, event: Event | None
) -> tuple[Distances, dict[int, int]]:
    """Return the fewest moves after an event, and where each configuration came from."""
    best, _ = _spread(platform, distances, fill)
    after: dict[int, int] = {}
    came: dict[int, int] = {}
    for configuration, moves in best.items():
        targets = (
            _moves(platform).images[event][configuration] if event is not None else [configuration]
        )
        for target in targets:
            if target not in after or moves < after[target]:
                after[target] = moves
                came[target] = configuration
    return tuple(sorted(after.items())), came


def _in_words(words: str, platform: Platform) -> str:
    what, level = words.split()[:-1], int(words.split()[-1])
    name = platform.levels[level].name
    lower = [x.name for x in platform.levels[level + 1 :]]
    below = lower[0] if lower else "memory"
    return {
        "fill": f"{name} fills from below",
        "write": f"{name} writes back to {below}",
        "evict": f"{name} evicts to {below}",
        "drop": f"{name} drops its clean copy",
    }[what[0]]


def silent_story(
    platform: Platform,
    events: Sequence[Happening],
    read_fill: int,
    stale: Callable[[Caches], bool],
) -> tuple[list[list[str]], Caches] | None:
    """Return the silent moves before each event and, last, before the read; and the caches then.

    None if it cannot happen.
    """
    moves = _moves(platform)
    distances = [moves.start]
    for happening in events:
        distances.append(_happen(platform, distances[-1], happening.fill, happening.event)[0])
    best, last = _spread(platform, distances[-1], read_fill)
    ends = [(n, i) for i, n in best.items() if stale(moves.subsets.caches[i])]
    if not ends:
        return None
    at = min(ends)[1]
    final = moves.subsets.caches[at]
    story = [_unwind(last, best, distances[-1], at)]
    at = story[0][1]
    for k in range(len(events) - 1, -1, -1):
        happening = events[k]
        at = _happen(platform, distances[k], happening.fill, happening.event)[1][at]
        best, last = _spread(platform, distances[k], happening.fill)
        story.append(_unwind(last, best, distances[k], at))
        at = story[-1][1]
    return [words for words, _ in reversed(story)], final


def _unwind(
    last: dict[int, tuple[int, str]], best: dict[int, int], start: Distances, at: int
) -> tuple[list[str], int]:
    begun = dict(start)
    words: list[str] = []
    while at in last and begun.get(at, -1) != best[at]:
        at, said = last[at]
        words.append(said)
    return words[::-1], at


# --- Told ---------------------------------------------------------------------------------------


def tell(
    cells: Sequence[PendingCell], steps: Sequence[Step], read: Step, index: int
) -> list[str]:
    """Return in words how `read`, at the end of `steps`, gets a stale value from the data side.

    `cells[k]` is the cell before step k; the last is before the read. [] if it cannot.
    """
    cell = cells[-1]
    kind = read_kind(read)
    seen = step_cell(cell, read, own=True) if read.op is Op.LD else cell
    platform = cell.automaton.platform
    outputs = cell.automaton.stale[cell.fill]
    fetch = read.op is Op.IF
    waiting = {b.queues for b in seen.branches}
    candidates = [
        b
        for b in cell.branches
        if b.queues in waiting
        and (
            any(outputs[b.state].of_fetch(k) for k in fetched_as(kind))
            if fetch
            else outputs[b.state].of_read(kind)
        )
    ]

    def stale(caches: Caches) -> bool:
        if not fetch:
            return model.may_read_stale(caches, kind)
        return not (caches.view(platform.pou) if kind is Kind.WB else caches.memory_latest)

    for end in sorted(candidates, key=_most_pending, reverse=True):
        events = happenings(cells, steps, index, end)
        story = silent_story(platform, events, cell.fill, stale)
        if story is not None:
            moves, final = story
            return [*_sentences(steps, events, moves, end), _picture(platform, final)]
    return []


def _sentences(
    steps: Sequence[Step], events: Sequence[Happening], story: Sequence[list[str]], end: Branch
) -> list[str]:
    told: list[str] = []
    place = "at the start"
    for happening, moves in zip(events, story, strict=False):
        told += [f"{place}: {move}" for move in moves]
        place = f"after step {happening.after_step} ({steps[happening.after_step]})"
        if happening.words:
            told.append(f"{place}: {happening.words}")
    told += [f"{place}: {move}" for move in story[-1]]
    told += [
        f"at the read: P{pe}'s {pending.op.spelling} has not taken effect"
        for pe, queue in end.queues
        for pending in queue
    ]
    return told


def _picture(platform: Platform, caches: Caches) -> str:
    held = [
        f"{level.name} {copy.value}"
        for level, copy in zip(platform.levels, caches.levels, strict=True)
        if copy is not model.Copy.ABSENT
    ]
    memory = f"memory {'latest' if caches.memory_latest else 'stale'}"
    return f"at the read: {'; '.join([*held, memory])}"
