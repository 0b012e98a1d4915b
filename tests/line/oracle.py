"""The line model a third time, from the design's text alone: slow, and shares no code with `src`.

Words are text. A cell is a set of (caches, queues): `caches` one string per level and one for memory,
`--` absent, `Ld` latest dirty, `Lc` latest clean, `Sd`, `Sc` stale; memory `L` or `S`. `queues` holds
per PE what is issued and not complete, each with whether a DMB of the PE came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from pocwatch.platforms import Platform

Caches = tuple[str, ...]
Queues = tuple[tuple[int, tuple[tuple[str, bool], ...]], ...]
Configurations = frozenset[tuple[Caches, Queues]]

KINDS = ("wb", "nc")


def view(caches: Caches, level: int) -> str:
    """The value (L or S) that a reader entering at `level` gets."""
    return next(held[0] for held in caches[level:] if held != "--")


def put(caches: Caches, at: int, held: str) -> Caches:
    return (*caches[:at], held, *caches[at + 1 :])


def push_down(caches: Caches, level: int) -> Caches:
    value = caches[level][0]
    below = value if level + 2 == len(caches) else value + "d"
    return put(put(caches, level, value + "c"), level + 1, below)


@cache
def drift(caches: Caches, fill: bool) -> frozenset[Caches]:
    """All that the caches may become by themselves."""
    seen, todo = {caches}, [caches]
    while todo:
        now = todo.pop()
        for level, held in enumerate(now[:-1]):
            if held == "--":
                after = [put(now, level, view(now, level + 1) + "c")] if fill else []
            elif held[1] == "d":
                pushed = push_down(now, level)
                after = [pushed, put(pushed, level, "--")]
            else:
                after = [put(now, level, "--")]
            todo += [a for a in after if a not in seen]
            seen.update(after)
    return frozenset(seen)


def aged(held: str) -> str:
    return held if held == "--" else "S" + held[1:]


@cache
def act(platform: Platform, op: str, caches: Caches) -> tuple[Caches, ...]:
    """What an operation may make of the caches when it takes effect."""
    if op in ("dc csw", "dc cisw", "dc isw"):
        levels = [i for i, level in enumerate(platform.levels) if level.set_way]
    elif op == "dc cvau":
        levels = list(range(platform.pou))
    elif op.startswith("outer"):
        levels = [i for i, level in enumerate(platform.levels) if level.outer]
    else:
        levels = [i for i, level in enumerate(platform.levels) if level.by_va]
    cleaned = dropped = caches
    for level in levels:
        dropped = put(dropped, level, "--")
        if cleaned[level].endswith("d"):
            cleaned = push_down(cleaned, level)
    both = cleaned
    for level in levels:
        both = put(both, level, "--")
    results: tuple[Caches, ...] = {
        "dc cvac": (cleaned,),
        "dc cvap": (cleaned,),
        "dc cvau": (cleaned,),
        "dc csw": (cleaned,),
        "outer clean": (cleaned,),
        "dc civac": (both,),
        "dc cisw": (both,),
        "outer flush": (both,),
        "dc ivac": (dropped, both),
        "dc isw": (dropped, both),
        "outer inv": (dropped,),
    }[op]
    return (*results, caches) if op.endswith("sw") and platform.pes > 1 else results


def settled(platform: Platform, some: Iterable[tuple[Caches, Queues]], fill: bool) -> Configurations:
    seen: set[tuple[Caches, Queues]] = set()
    todo = list(some)
    while todo:
        caches, queues = todo.pop()
        for now in () if (caches, queues) in seen else drift(caches, fill):
            if (now, queues) in seen:
                continue
            seen.add((now, queues))
            for pe, ops in queues:
                rest = queues_with(queues, pe, ops[1:])
                todo += [(after, rest) for after in act(platform, ops[0][0], now)]
    return frozenset(seen)


def queue(queues: Queues, pe: int) -> tuple[tuple[str, bool], ...]:
    return next((ops for owner, ops in queues if owner == pe), ())


def queues_with(queues: Queues, pe: int, ops: tuple[tuple[str, bool], ...]) -> Queues:
    return tuple(sorted([*(q for q in queues if q[0] != pe), *([(pe, ops)] if ops else [])]))


class Instruction:
    """The I-side of four bytes: (PE, k) that may be stale, or need an ISB; open IC windows."""

    def __init__(self) -> None:
        self.stale: set[tuple[int, str]] = set()
        self.unsynced: set[tuple[int, str]] = set()
        self.windows: list[tuple[int, set[int], set[tuple[int, str]]]] = []

    def taint(self, views: set[tuple[int, str]]) -> None:
        for _, _, tainted in self.windows:
            tainted |= views


class Word:
    """One line under one word."""

    def __init__(self, platform: Platform, text: str) -> None:
        self.platform = platform
        self.steps = [step.split() for step in text.replace("\n", ";").split(";")]
        named = [int(words[0][1:]) + 1 for words in self.steps if words[0][0] == "P"]
        self.pes = set(range(max([platform.pes, *named])))
        self.off: set[int] = set()
        self.uncached: set[int] = set()
        reads = [words for words in self.steps if words[1] in ("ld", "tw", "if", "rd")]
        empty = ("--",) * len(platform.levels)
        start = settled(platform, [((*empty, "L"), ())], True)
        self.cells = {self.offset(words) // 8: start for words in reads}
        self.instructions = {
            self.offset(words) // 4: Instruction() for words in reads if words[1] == "if"
        }

    @property
    def fill(self) -> bool:
        """Some PE of the platform has its MMU on."""
        return not set(range(self.platform.pes)) <= self.off

    @staticmethod
    def offset(words: list[str]) -> int:
        return int(words[-1]) if words[-1].startswith("+") else 0

    def verdicts(self) -> list[str]:
        return [verdict for words in self.steps if (verdict := self._step(words))]

    def _each(self, cell: int, effect: Callable[[Caches], Iterable[Caches]]) -> None:
        self.cells[cell] = settled(
            self.platform,
            {(after, queues) for now, queues in self.cells[cell] for after in effect(now)},
            self.fill,
        )

    def _sees_done(self, pe: int, kind: str) -> None:
        for cell, configurations in self.cells.items():
            self.cells[cell] = frozenset(
                (caches, queues)
                for caches, queues in configurations
                if not any(kind == "wb" or fenced for _, fenced in queue(queues, pe))
            )

    def _requeue(self, change: Callable[[Queues], Queues], *, may_skip: bool = False) -> None:
        for cell, configurations in self.cells.items():
            changed = {(caches, change(queues)) for caches, queues in configurations}
            if may_skip:
                changed |= configurations
            self.cells[cell] = settled(self.platform, changed, self.fill)

    def _source_stale(self, cell: int, kind: str) -> bool:
        return any(
            (view(caches, self.platform.pou) if kind == "wb" else caches[-1]) == "S"
            for caches, _ in self.cells[cell]
        )

    def _step(self, words: list[str]) -> str | None:
        agent, op = int(words[0][1:]), words[1]
        kind = words[2] if len(words) > 2 else ""
        offset = self.offset(words)
        own, last = offset // 8, len(self.platform.levels) - 1
        verdict = None
        written: set[int] = set()
        if op in ("ld", "tw", "rd"):
            kind = {"coherent": "wb", "noncoherent": "nc"}.get(kind, kind)
            if op == "ld":
                self._sees_done(agent, kind)
            verdict = self._data_verdict(own, kind)
            if kind in ("wb", "wt"):
                for cell in self.cells:
                    self._each(cell, demand_filled)
        elif op == "st" or (op, kind) == ("dc", "zva"):
            kind = kind if op == "st" else "wb"
            written = set(self.cells) if op == "dc" else {own}
            self._sees_done(agent, kind)
            if kind in ("nc", "dev"):
                self.uncached.add(agent)
            for cell in self.cells:
                effect = stored(kind) if cell in written else neighbour(kind)
                self._each(cell, effect)
        elif op == "wr":
            written = {own}
            if own in self.cells and kind == "noncoherent":
                self._each(own, stored("nc"))
            elif own in self.cells:
                gone = ("--",) * last
                self._each(own, lambda _: [(*gone, "--", "L"), (*gone, "Ld", "S")])
        elif op == "dc":
            issued = (f"dc {kind}", False)
            self._requeue(
                lambda queues: queues_with(queues, agent, (*queue(queues, agent), issued)),
                may_skip=agent in self.uncached,
            )
        elif op == "outer":
            for cell in self.cells:
                self._each(cell, lambda now: act(self.platform, f"outer {kind}", now))
        elif op == "dmb":
            self.uncached.discard(agent)
            self._requeue(
                lambda queues: queues_with(
                    queues, agent, tuple((o, True) for o, _ in queue(queues, agent))
                )
            )
        elif op == "dsb":
            self.uncached.discard(agent)
            self._sees_done(agent, "wb")
        elif op == "mmu":
            self.off = self.off - {agent} if kind == "on" else self.off | {agent}
            self._requeue(lambda queues: queues)
        for index, instruction in self.instructions.items():
            fetched = self._instruction_side(instruction, index, words, written)
            verdict = fetched or verdict
        return verdict

    def _data_verdict(self, cell: int, kind: str) -> str:
        cached = any(view(caches, 0) == "S" for caches, _ in self.cells[cell])
        uncached = any(caches[-1] == "S" for caches, _ in self.cells[cell])
        looked_at = {"wb": [cached], "wt": [cached, uncached]}.get(kind, [uncached])
        return "stale" if any(looked_at) else "fresh"

    def _instruction_side(
        self, i: Instruction, index: int, words: list[str], written: set[int]
    ) -> str | None:
        agent, op, kind = int(words[0][1:]), words[1], words[2] if len(words) > 2 else ""
        everyone = {(pe, k) for pe in self.pes for k in KINDS}
        behind = {k for k in KINDS if self._source_stale(index // 2, k)}
        verdict = None
        if op == "if" and self.offset(words) // 4 == index:
            if (agent, kind) in i.stale or kind in behind:
                verdict = "stale"
            else:
                verdict = "unsynced" if (agent, kind) in i.unsynced else "fresh"
            if kind in behind:
                spoiled = {(agent, k) for k in KINDS}
                i.stale |= spoiled
                i.taint(spoiled)
        elif op == "ic":
            i.windows.append((agent, {agent} if kind == "iallu" else self.pes, set()))
        elif op == "dsb":
            for _, reached, tainted in [w for w in i.windows if w[0] == agent]:
                i.stale = {v for v in i.stale if v[0] not in reached}
                i.stale |= {v for v in tainted if v[0] in reached}
                for other in i.windows:  # what this one wiped out, others cannot have left behind
                    other[2].difference_update(
                        {v for v in other[2] if v[0] in reached and v not in tainted}
                    )
            i.windows = [w for w in i.windows if w[0] != agent]
        elif op == "isb":
            i.unsynced -= {(agent, k) for k in KINDS}
        if index // 2 in written:
            i.unsynced |= everyone
            if not self.platform.dic:
                i.stale |= everyone
                i.taint(everyone)
        from_behind = {(pe, k) for pe, k in everyone if k in behind}
        i.taint(from_behind)
        i.unsynced |= i.stale | from_behind
        return verdict


def stored(kind: str) -> Callable[[Caches], list[Caches]]:
    """What a store does to its own cell."""

    def effect(now: Caches) -> list[Caches]:
        if kind == "wb":
            return [("Ld", *map(aged, now[1:-1]), "S")]
        around = (*map(aged, now[:-1]), "L")
        through = (*(h if h == "--" else "L" + h[1] for h in now[:-1]), "L")
        return [around, through] if kind == "wt" else [around]

    return effect


def neighbour(kind: str) -> Callable[[Caches], list[Caches]]:
    """What a store does to the other cells of its line."""
    return lambda now: [put(now, 0, view(now, 0) + "d")] if kind == "wb" else [now]


def demand_filled(now: Caches) -> list[Caches]:
    """The levels above the one that answers may take a clean copy, or not."""
    first = next((i for i, held in enumerate(now[:-1]) if held != "--"), len(now) - 1)
    filled = (view(now, 0) + "c",) * first
    return [now, (*filled, *now[first:])]


def verdicts(platform: Platform, text: str) -> list[str]:
    """The verdict of every read of a word."""
    return Word(platform, text).verdicts()
