"""Concrete programs over caches that move one by one: what SPIN and rumur see, state by state.

It holds the exported text to the model: rumur must count as many states as this. Slow, like any
concrete model, and in Python.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pocwatch.arch.ops import Op
from pocwatch.check.claims import Claim
from pocwatch.kvm.export.concrete import Do, Each, Program, cell_of
from pocwatch.kvm.export.meaning import Meaning, Waits, meaning
from pocwatch.kvm.export.semantics import State, Turn, at_start, moved_on, never_stale, turns
from pocwatch.line import model
from pocwatch.line.automaton import effects
from pocwatch.line.model import Caches, Pending, Queue
from pocwatch.line.word import Step


class Held(NamedTuple):
    """What caches and memory hold of a cell, and what is pending there; Non-cacheable stores by PE."""

    caches: Caches
    queues: tuple[Queue, ...] = ()
    uncached_stores: frozenset[int] = frozenset()

    def queue(self, pe: int) -> tuple[Pending, ...]:
        return dict(self.queues).get(pe, ())

    def with_queue(self, pe: int, queue: tuple[Pending, ...]) -> Held:
        queues = {**dict(self.queues), pe: queue}
        return self._replace(queues=tuple(sorted((p, q) for p, q in queues.items() if q)))


class Stepwise:
    """A program whose caches move silently, one move at a time."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._cells = program.cells
        self._platform = program.platform
        self._effects = effects(program.platform)
        self._remembering = program.remembering
        self.claims: Sequence[Claim[State[Held], str]] = never_stale()

    def initial(self) -> list[State[Held]]:
        return [at_start(self.program, Held(model.at_reset(self._platform)))]

    def actions(self, state: State[Held]) -> Iterator[tuple[str, State[Held]]]:
        if state.stale is not None:
            return
        yield from self._silent(state)
        for turn in turns(self.program, state):
            i = turn.instruction
            after = moved_on(state, turn)
            if not isinstance(i, Do | Each):
                yield str(i), after
            elif turn.line is None:
                yield from self._everywhere(str(i.step), i.step, after)
            else:
                yield from self._on_line(turn, i, state, after)

    def _silent(self, state: State[Held]) -> Iterator[tuple[str, State[Held]]]:
        fill = len(state.off) < self.program.pes_that_count
        for n, line in enumerate(state.lines):
            for place, now in enumerate(line.held):
                for name, moved in self._moves(now, fill):
                    held = (*line.held[:place], moved, *line.held[place + 1 :])
                    yield f"{name}, line {n}", _with_line(state, n, held)

    def _moves(self, now: Held, fill: bool) -> Iterator[tuple[str, Held]]:
        for name, caches in model.silent_moves(now.caches, fill=fill):
            yield name, now._replace(caches=caches)
        for pe, queue in now.queues:
            for caches in model.maintain(self._platform, queue[0].op)(now.caches):
                done = now._replace(caches=caches).with_queue(pe, queue[1:])
                yield f"P{pe}'s {queue[0].op.spelling} takes effect", done

    def _everywhere(
        self, label: str, step: Step, after: State[Held]
    ) -> Iterator[tuple[str, State[Held]]]:
        """A barrier or an MMU switch."""
        pe = step.agent
        if step.op is Op.DSB and any(h.queue(pe) for line in after.lines for h in line.held):
            return
        if step.op in (Op.MMU_ON, Op.MMU_OFF):
            if pe < self.program.pes_that_count and self.program.fills_may_stop:
                off = after.off - {pe} if step.op is Op.MMU_ON else after.off | {pe}
                after = after._replace(off=off)
            yield label, after
            return
        for n, line in enumerate(after.lines):
            held = tuple(
                h.with_queue(pe, tuple(Pending(p.op, True) for p in h.queue(pe)))._replace(
                    uncached_stores=h.uncached_stores - {pe}
                )
                for h in line.held
            )
            after = _with_line(after, n, held)
        yield label, after

    def _on_line(
        self, turn: Turn, i: Do | Each, state: State[Held], after: State[Held]
    ) -> Iterator[tuple[str, State[Held]]]:
        assert turn.line is not None
        step, does = i.step, meaning(i.step)
        label = f"{step}, line {turn.line}"
        held = state.lines[turn.line].held
        if any(_must_wait(h, step.agent, does.waits) for h in held):
            return
        if i.judged:
            own = held[self._cells.index(cell_of(step))]
            assert does.reads is not None
            if model.may_read_stale(own.caches, does.reads):
                yield label, after._replace(stale=label)
        options = (
            self._cell_after(h, step, does, own=index == cell_of(step))
            for index, h in zip(self._cells, held, strict=True)
        )
        for choice in itertools.product(*map(list, options)):
            yield label, _with_line(after, turn.line, choice)

    def _cell_after(self, now: Held, step: Step, does: Meaning, *, own: bool) -> Iterator[Held]:
        pe = step.agent
        if does.uncached_store and pe in self._remembering:
            now = now._replace(uncached_stores=now.uncached_stores | {pe})
        event = does.own if own else does.others
        if does.issues is not None:
            yield now.with_queue(pe, (*now.queue(pe), Pending(does.issues, False)))
            if pe in now.uncached_stores:
                yield now  # it acted as if it came before the store
        elif event is None:
            yield now
        else:
            for caches in self._effects[event](now.caches):
                yield now._replace(caches=caches)


def _must_wait(now: Held, pe: int, waits: Waits) -> bool:
    queue = now.queue(pe)
    if waits is Waits.FOR_ALL:
        return bool(queue)
    return waits is Waits.FOR_ORDERED and any(p.ordered for p in queue)


def _with_line(state: State[Held], number: int, held: tuple[Held, ...]) -> State[Held]:
    line = state.lines[number]._replace(held=held)
    return state._replace(lines=(*state.lines[:number], line, *state.lines[number + 1 :]))
