"""What happened to a finding's cell, step by step: who, what, where, and what caches may have held.

Data for the drawings (HTML, terminal): nothing here draws. Steps are the line's recorded history, oldest
first, then the access that went wrong. A history that begins too late begins with a gap; where the
states do not follow from it, they are not known, and that is said (`Timeline.trust`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE, Kind, Op
from pocwatch.line import emit
from pocwatch.line.contents import Bar, Contents, Place, contents_of
from pocwatch.line.fetch import KINDS, FetchSide
from pocwatch.line.model import Copy
from pocwatch.line.table import fetched_as, lost_states
from pocwatch.platforms import Platform
from pocwatch.report import words
from pocwatch.report.retrace import WRITES, Happening, Retraced, Trust, retrace
from pocwatch.sanitizer.findings import Access, Event, Finding
from pocwatch.trace.records import Flag

ICACHE = "L1I"


class Role(enum.Enum):
    """What a step is in the story of a finding."""

    GAP = "gap"  # older events were forgotten
    WRITE = "write"
    LATEST = "latest write"  # of the data that the access may miss
    MAINTENANCE = "maintenance"
    MISSING = "missing maintenance"  # a rule took it away or weakened it
    ACCESS = "access"  # the moment it went wrong


@dataclass(frozen=True, slots=True)
class Situation:
    """What may be the case of the cell between two steps. `states` are numbers of the automaton.

    More than one state: history does not tell which. None at all: it does not tell anything.
    `bars` are the levels nearest the PEs first, then memory; `icache` only for findings of fetches.
    """

    states: tuple[int, ...]
    bars: tuple[Bar, ...]
    icache: Bar | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return bool(self.states)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `event` is None for a gap and the access; `notes` are clauses."""

    role: Role
    agent: str  # P0, D0, as in `pocwatch line`; "" for a gap
    world: str  # EL1, guest 1; "" for a device or gap
    operation: str  # st wb, dc cvau, as in `pocwatch line`
    where: str  # symbol+offset or PC
    notes: tuple[str, ...]
    before: Situation
    after: Situation
    event: Event | None = None
    lost: bool = False  # after it, but not before, the latest data may be gone

    @property
    def changed(self) -> bool:
        """Whether the cell's state may be another one after it."""
        return self.before.states != self.after.states


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of a finding; `meanings` says each of the platform's states in words."""

    platform: Platform
    trust: Trust
    steps: tuple[Step, ...]
    meanings: tuple[str, ...]

    @property
    def path(self) -> tuple[tuple[int, ...], ...]:
        """The states walked, without those that stayed; each entry is what may have been the case."""
        visited = [step.before.states for step in self.steps if step.before.known]
        return tuple(now for n, now in enumerate(visited) if n == 0 or now != visited[n - 1])

    @property
    def agents(self) -> tuple[str, ...]:
        """Everybody who did something: PEs first, then devices, by number."""
        seen = {step.agent for step in self.steps if step.agent}
        return tuple(sorted(seen, key=lambda agent: (agent[0] == "D", int(agent[1:]))))


def operation(op: Op, kind: Kind) -> str:
    """Return an operation as a step of `pocwatch line` spells it, without agent."""
    if op in (Op.LD, Op.ST, Op.TW, Op.IF):
        return f"{op.spelling} {words.short_attributes(kind)}"
    if op is Op.DMA_RD:
        return f"rd {'coherent' if kind is Kind.WB else 'noncoherent'}"
    return op.spelling


def _place(event: Event | Access) -> str:
    return event.symbol or f"{event.pc:#x}"


def _notes(now: Happening) -> Iterator[str]:
    """Yield what is to be known of an event, in words."""
    event, flags = now.event, now.event.flags
    rule = f" {event.rule!r}" if event.rule else ""
    if Flag.DROPPED in flags:
        yield f"dropped by rule{rule}"
        return
    if Flag.WEAKENED in flags:
        yield f"weakened by rule{rule}"
    if Flag.UPGRADED in flags:
        asked = "ivac" if event.op is Op.DC_CIVAC else "isw"
        yield f"is a dc {asked}, executed as clean and invalidate"
    if event.op in DATA_MAINTENANCE or event.op in INSTRUCTION_MAINTENANCE:
        yield "completed by DSB" if now.completed else "no DSB seen"
    if event.op in WRITES and not now.own:
        yield "other bytes of the line"
    if now.silent:
        yield "changed no state, so its exact place here is not recorded"


def _role(now: Happening, finding: Finding) -> Role:
    event, writer = now.event, finding.writer
    if event.flags & (Flag.DROPPED | Flag.WEAKENED):
        return Role.MISSING
    if event.op not in WRITES:
        return Role.MAINTENANCE
    latest = writer is not None and event.seq == writer.seq and event.pc == writer.pc
    return Role.LATEST if latest else Role.WRITE


class _Fetches:
    """What the I-caches may hold of the instruction along the way."""

    def __init__(self, contents: Contents, finding: Finding, pes: Iterable[int]) -> None:
        self.contents, self.access = contents, finding.access
        self.kinds = frozenset(fetched_as(finding.access.kind))
        self.side = FetchSide(frozenset(pes), contents.platform.dic)
        if finding.history_truncated:
            self.side = self.side.written()

    def bar(self, places: frozenset[Place]) -> Bar:
        """Return what the I-cache of the PE that fetched may hold."""
        stale = self.contents.automaton.stale[1]
        sources = frozenset(k for k in KINDS if any(stale[p.state].of_fetch(k) for p in places))
        self.side = self.side.sourced(sources)
        mine = {(self.access.pe, kind) for kind in self.kinds}
        held = {Copy.ABSENT}
        if mine & self.side.stale or self.kinds & sources:
            held.add(Copy.STALE_CLEAN)
        pou = self.contents.platform.pou
        if any(
            caches.view(pou) if kind is Kind.WB else caches.memory_latest
            for place in places
            for caches in self.contents.configurations(place.mask)
            for kind in self.kinds
        ):
            held.add(Copy.LATEST_CLEAN)
        return Bar(ICACHE, frozenset(held))

    def after(self, now: Happening) -> None:
        """Take in an event."""
        event = now.event
        if Flag.DROPPED in event.flags:
            return
        if event.op in WRITES and now.own:
            self.side = self.side.written()
        elif event.op in INSTRUCTION_MAINTENANCE:
            self.side = self.side.invalidate(event.pe, event.op)
            if now.completed:
                self.side = self.side.dsb(event.pe)


def _situations(finding: Finding, contents: Contents, found: Retraced) -> list[Situation]:
    fetches = None
    if finding.access.op is Op.IF:
        pes = {finding.access.pe, *(h.event.pe for h in found.happenings)}
        fetches = _Fetches(contents, finding, pes)
    situations: list[Situation] = []
    for index, places in enumerate(found.places):
        if fetches and index:
            fetches.after(found.happenings[index - 1])
        situations.append(
            Situation(
                states=tuple(sorted({place.state for place in places})),
                bars=contents.bars(places) if places else (),
                icache=fetches.bar(places) if fetches and places else None,
            )
        )
    return situations


def timeline(finding: Finding, platform: Platform) -> Timeline:
    """Return what happened to a finding's cell on a platform: the one that the run was judged on."""
    contents = contents_of(platform)
    found = retrace(finding, contents)
    situations = _situations(finding, contents, found)
    lost = lost_states(contents.automaton)
    steps: list[Step] = []
    unknown = Situation((), ())
    if finding.history_truncated:
        note = "older events of this line were forgotten"
        steps.append(Step(Role.GAP, "", "", "", "", (note,), unknown, situations[0]))
    for now, before, after in zip(found.happenings, situations, situations[1:], strict=False):
        event = now.event
        device = event.op is Op.DMA_WR
        steps.append(
            Step(
                role=_role(now, finding),
                agent=event.agent,
                world="" if device else words.world(event.el, event.vm, event.vm_id),
                operation=operation(event.op, event.kind),
                where="" if device else _place(event),
                notes=tuple(_notes(now)),
                before=before,
                after=after,
                event=event,
                lost=bool(set(after.states) & lost) and not set(before.states) & lost,
            )
        )
    steps.append(_access(finding, situations[-1]))
    return Timeline(platform, found.trust, tuple(steps), tuple(emit.names(contents.automaton)))


def _access(finding: Finding, before: Situation) -> Step:
    access = finding.access
    device = access.op is Op.DMA_RD
    return Step(
        role=Role.ACCESS,
        agent=access.agent,
        world="" if device else words.world(access.el, access.vm, access.vm_id),
        operation=operation(access.op, access.kind),
        where="" if device else _place(access),
        notes=(words.attributes(access), finding.kind),
        before=before,
        after=before,
    )
