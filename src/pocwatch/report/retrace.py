"""The states that a cell went through, from the history that a finding has of its line.

The judge keeps the events that changed the line and the states at the end, not the states between, nor
when a DSB came, nor whether caches could fill. So every way is followed that the history allows, and
those are kept that end where the judge's record does. First as things usually are; if no such way
ends there, with everything that may have gone unrecorded (`Care.EVERYTHING`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pocwatch.arch.ops import DATA_MAINTENANCE, By, Kind, Op
from pocwatch.line.automaton import MAINTENANCE_EVENT
from pocwatch.line.automaton import Event as Column
from pocwatch.line.contents import Contents, Place
from pocwatch.line.explain import looked_at
from pocwatch.line.table import lost_states
from pocwatch.sanitizer.findings import Event, Finding
from pocwatch.trace.records import Flag


class Care(enum.Enum):
    """How much of what history does not tell is taken into account."""

    USUAL = "usual"  # a PE's DSB comes before its next event; lines start at rest
    EVERYTHING = "everything"


class Trust(enum.Enum):
    """How far the states of a retraced history are known."""

    WHOLE = "from the start"
    RECENT = "older events forgotten"  # the first states follow from those at the end
    END = "only at the end"  # the history does not lead to what the judge recorded


class Point(NamedTuple):
    """A cell, and the operations on it that may not have taken effect yet: (PE, operation)."""

    place: Place
    pending: tuple[tuple[int, Op], ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the history as far as the cell is concerned.

    `silent`: a write that the judge saw change nothing, which is why it is no event of the history.
    """

    event: Event
    own: bool
    others: bool
    completed: bool
    usually_done: bool  # before anybody else did something
    maybe_before: bool  # the PE's own uncached store may have come after it (facts C9)
    silent: bool = False

    @property
    def stays_open(self) -> bool:
        """Whether it is data maintenance that may not have taken effect when the access came."""
        dropped = Flag.DROPPED in self.event.flags
        return self.event.op in DATA_MAINTENANCE and not self.completed and not dropped

    def fills(self, care: Care) -> tuple[int, ...]:
        """Return what the fill switch may have been: on if this PE's MMU was, SCTLR.C aside."""
        return (1,) if Flag.MMU_ON in self.event.flags and care is Care.USUAL else (1, 0)


_STORES = {Kind.WB: Column.ST_WB, Kind.WT: Column.ST_WT}
_DRIFT = (Column.LD_CACHED, Column.CLOSE)  # changes states unrecorded, with the MMUs off at times
_AT_REST = (*_DRIFT, Column.CSW, Column.CISW, Column.ISW)
WRITES = frozenset({Op.ST, Op.DC_ZVA, Op.DMA_WR})


def events_of(finding: Finding) -> list[tuple[Event, bool]]:
    """Return history with the latest write in its place, and whether it was added.

    A write that changed no state is not recorded as an event of the line; the writer is known all the
    same. It is put behind the last recorded write to the cell, which it came after.
    """
    history, writer = finding.history, finding.writer
    listed = [(event, False) for event in history]
    if writer is None or any(e.seq == writer.seq and e.pc == writer.pc for e in history):
        return listed
    at = sum(event.seq <= writer.seq for event in history)
    return [*listed[:at], (writer, True), *listed[at:]]


def _happenings(finding: Finding) -> list[Happening]:
    cell = finding.line.stale_cell
    events = events_of(finding)
    uncached: set[int] = set()
    found: list[Happening] = []
    for index, (event, silent) in enumerate(events):
        if event.op is Op.ST and event.kind in (Kind.NC, Kind.DEV):
            uncached.add(event.pe)
        following = next(
            (e.pe for e, _ in events[index + 1 :] if e.op not in DATA_MAINTENANCE), event.pe
        )
        completed = Flag.COMPLETED in event.flags or _by_set_way(event.op)
        found.append(
            Happening(
                event=event,
                own=bool(event.cells >> cell & 1) or event.op is Op.DC_ZVA,
                others=bool(event.cells & ~(1 << cell)),
                completed=completed,
                usually_done=completed and following == event.pe,
                maybe_before=event.op in DATA_MAINTENANCE and event.pe in uncached,
                silent=silent,
            )
        )
    return found


def _by_set_way(op: Op) -> bool:
    """Say whether an operation is recorded only when its loop is complete."""
    return op in DATA_MAINTENANCE and DATA_MAINTENANCE[op].by is By.SET_WAY


class Retracer:
    """Follows the history of one cell on one platform."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents

    def _settled(self, points: set[Point], fills: Sequence[int]) -> set[Point]:
        """Add what pending operations lead to when they take effect, each PE's in its order."""
        seen, todo = set(points), list(points)
        while todo:
            place, pending = todo.pop()
            issuers = set()
            for n, (pe, op) in enumerate(pending):
                if pe in issuers:
                    continue
                issuers.add(pe)
                rest = (*pending[:n], *pending[n + 1 :])
                for fill in fills:
                    after = self.contents.step(place, MAINTENANCE_EVENT[op], fill)
                    if (point := Point(after, rest)) not in seen:
                        seen.add(point)
                        todo.append(point)
        return seen

    def _stored(self, place: Place, now: Happening, fill: int) -> Iterator[Place]:
        """Yield what a store, or several of one instruction in unknown order, may lead to."""
        event = now.event
        if event.op is Op.DMA_WR:  # coherent or not: the record does not say
            columns = (Column.WR_COHERENT, Column.ST_NC) if now.own else ()
            yield from (self.contents.step(place, column, fill) for column in columns)
            if not now.own:
                yield place
            return
        own = _STORES.get(event.kind, Column.ST_NC)
        if event.op is Op.DC_ZVA or event.kind is not Kind.WB:
            yield self.contents.step(place, own, fill) if now.own else place
            return
        before = [place]
        if now.others:
            beside = self.contents.step(place, Column.ST_WB_NEIGHBOUR, fill)
            before = [place, beside] if now.own else [beside]
        for each in before:
            if now.own:
                stored = self.contents.step(each, own, fill)
                yield stored
                if now.others:
                    yield self.contents.step(stored, Column.ST_WB_NEIGHBOUR, fill)
            else:
                yield each

    def _after(self, point: Point, now: Happening, care: Care) -> set[Point]:
        """Return where an event may lead from a point; nowhere if it cannot have happened there."""
        event, (place, pending) = now.event, point
        if Flag.DROPPED in event.flags:
            return {point}
        if event.op in WRITES:
            sees_done = event.op is Op.DC_ZVA or (event.op is Op.ST and event.kind is Kind.WB)
            if sees_done and any(pe == event.pe for pe, _ in pending):
                return set()
            places = {after for fill in now.fills(care) for after in self._stored(place, now, fill)}
            if now.silent and care is Care.USUAL:
                places = {after for after in places if after.state == place.state}
            return {Point(after, pending) for after in places}
        if event.op not in MAINTENANCE_EVENT:  # of the instruction side
            return {point}
        unchanged = {point} if now.maybe_before else set()
        at_once = now.usually_done if care is Care.USUAL else _by_set_way(event.op)
        if at_once and not any(pe == event.pe for pe, _ in pending):
            return unchanged | {
                Point(self.contents.step(place, MAINTENANCE_EVENT[event.op], fill), pending)
                for fill in now.fills(care)
            }
        return unchanged | {Point(place, (*pending, (event.pe, event.op)))}

    def drifted(self, points: set[Point], events: Sequence[Column]) -> set[Point]:
        seen, todo = set(points), list(points)
        while todo:
            place, pending = todo.pop()
            for column in events:
                for fill in (0, 1):
                    point = Point(self.contents.step(place, column, fill), pending)
                    if point not in seen:
                        seen.add(point)
                        todo.append(point)
        return seen

    def follow(
        self,
        happenings: Sequence[Happening],
        start: set[Point],
        recorded: int,
        care: Care,
        *,
        explains: bool,
    ) -> list[frozenset[Place]] | None:
        """Return the places before the first event and after each; None: no way ends as recorded.

        With operations in flight the judge has several states and records one: if that one does not
        explain the access (`explains`), the others are kept, too.
        """
        fills = (1,) if all(h.fills(care) == (1,) for h in happenings) else (1, 0)
        layers: list[dict[Point, set[Point]]] = [{point: set() for point in start}]
        for now in happenings:
            layer: dict[Point, set[Point]] = {}
            for point in layers[-1]:
                after = self._settled(self._after(point, now, care), fills)
                if care is Care.EVERYTHING:
                    after = self.drifted(after, _DRIFT)
                for each in after:
                    layer.setdefault(each, set()).add(point)
            layers.append(layer)
        open_ops = {(h.event.pe, h.event.op) for h in happenings if h.stays_open}
        ends = {point for point in layers[-1] if set(point.pending) <= open_ops}
        as_recorded = {point for point in ends if point.place.state == recorded}
        if not as_recorded:
            return None
        if explains or not any(h.stays_open or h.maybe_before for h in happenings):
            ends = as_recorded
        kept = [frozenset(point.place for point in ends)]
        for layer in reversed(layers[1:]):
            ends = set().union(*(layer[point] for point in ends))
            kept.append(frozenset(point.place for point in ends))
        return kept[::-1]


@dataclass(frozen=True, slots=True)
class Retraced:
    """A history with the places that the stale cell may have been in: before it, and after each event."""

    trust: Trust
    happenings: tuple[Happening, ...]
    places: tuple[frozenset[Place], ...]  # one more than happenings; empty: not known

    @property
    def end(self) -> frozenset[Place]:
        """Where the access met the cell."""
        return self.places[-1]


def may_explain(contents: Contents, finding: Finding, state: int) -> bool:
    """Say whether the finding's access may get stale data from the data side in this state."""
    if state in lost_states(contents.automaton):
        return True
    wanted = looked_at(finding.access.op, finding.access.kind)
    return any(row[state] & wanted for row in contents.automaton.stale)


def retrace(finding: Finding, contents: Contents) -> Retraced:
    """Return the places of a finding's stale cell along its history."""
    retracer = Retracer(contents)
    happenings = tuple(_happenings(finding))
    recorded = finding.line.states[finding.line.stale_cell]
    unknown = (frozenset[Place](),) * len(happenings)
    if recorded >= contents.automaton.states:  # of a saved report that somebody changed
        return Retraced(Trust.END, happenings, (*unknown, frozenset()))
    explains = may_explain(contents, finding, recorded)
    anywhere = {Point(contents.of_state(s)) for s in range(contents.automaton.states)}
    for care in Care:
        start = {Point(contents.start)}
        if finding.history_truncated:
            start = anywhere
        elif care is Care.EVERYTHING:
            start = retracer.drifted(start, _AT_REST)
        places = retracer.follow(happenings, start, recorded, care, explains=explains)
        if places is not None:
            trust = Trust.RECENT if finding.history_truncated else Trust.WHOLE
            return Retraced(trust, happenings, tuple(places))
    return Retraced(Trust.END, happenings, (*unknown, frozenset({contents.of_state(recorded)})))
