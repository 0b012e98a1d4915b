"""A cell of the matrix told: one legal run that ends in the stale read, row by row.

The counterexample says what software did. Here the caches are added, concretely: among the behaviours
that the architecture allows, one in which the read really gets old data, and whose data that is. Rows
are software's actions and, between them, what the caches do unasked and operations that take effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pocwatch.arch.ops import INSTRUCTION_MAINTENANCE, Kind, Op
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import HOOKS, Policy
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.state import Action, State
from pocwatch.kvm.story import reasons
from pocwatch.kvm.story.ending import ending, whose
from pocwatch.kvm.story.repair import Repair, repair
from pocwatch.kvm.story.replay import Stage, replay
from pocwatch.kvm.story.rows import CACHES, Mark, Picture, Remedy, Row, Story
from pocwatch.kvm.system import System
from pocwatch.kvm.verdict import Result
from pocwatch.line import calculator, provenance
from pocwatch.line.behaviour import CACHEABLE, By, Moment, Move, behaviour, start
from pocwatch.line.line import read_kind
from pocwatch.line.model import Copy, may_miss
from pocwatch.line.provenance import BEFORE
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

Mend = Callable[[Result, Scenario, Policy, Platform, Stage2], Repair | None]


def tell(
    result: Result,
    scenario: Scenario,
    policy: Policy,
    platform: Platform,
    forced: Stage2 = Stage2.FORCED,
    mend: Mend = repair,
) -> Story:
    """Return the story of a cell that `verdict.decide` judged with the same arguments.

    `mend` looks for the repair, which takes longest.
    """
    levels = tuple(level.name for level in platform.levels)
    story = Story(
        result, scenario.description, scenario.facts, policy.origin, levels
    )
    if not result.trace:
        return story
    system = System(scenario, policy, platform, forced)
    told = _Telling(system, result.trace)
    found = mend(result, scenario, policy, platform, forced)
    return replace(
        story,
        fetcher=told.read.agent if told.read.op is Op.IF else None,
        agents=told.agents(),
        rows=tuple(told.rows),
        ending=ending(
            system, told.rows, told.read, result.verdict, told.read_verdict, told.latest
        ),
        reasons=tuple(told.reasons()),
        rules=tuple(reasons.rules(told.rows, told.read, told.read_verdict, told.latest_step)),
        line_repair=_line_repair(system.platform, told),
        remedy=None if found is None else told.remedy(found),
        word=tuple(told.word),
    )


class _Telling:
    """The rows as they grow, and what is known by the end."""

    def __init__(self, system: System, trace: Sequence[Action]) -> None:
        stages = replay(system, trace)
        if stages is None:
            raise ValueError("the trace is not one of this scenario under this policy and platform")
        self.system = system
        self.platform = system.platform
        self.stages = stages
        self.page, self.read = stages[-1].action.steps[-1]
        self.rows: list[Row] = []
        self.first_row: dict[int, int] = {}  # of each stage
        self._situation, self._data = start(self.platform), provenance.at_start(self.platform)
        self.latest = BEFORE
        self.latest_step: Step | None = None
        self._build()
        self._mark()

    # --- What software does, and what the hardware makes of it -----------------------------------

    def _build(self) -> None:
        moments: list[Moment] = []
        stage_of: list[int] = []
        before: State = next(self.system.initial())
        kinds = CACHEABLE
        for n, passed in enumerate(self.stages[:-1]):
            now = _kinds(passed.after, self.page)
            emptied = self._emptied(before, passed.after)
            steps = self._steps(passed)
            wanted = [Moment(step, kinds & now) for step in steps[:-1]]
            wanted.append(Moment(steps[-1] if steps else None, now, emptied))
            moments += wanted
            stage_of += [n] * len(wanted)
            before, kinds = passed.after, now
        self.word = [moment.step for moment in moments if moment.step is not None]
        self.word.append(self.read)
        stale = self.read_verdict == "stale"
        moves = behaviour(self.platform, moments, self.read, stale=stale)
        if moves is None:
            raise AssertionError(f"no behaviour makes this read stale: {self.word}")
        software = [move.moment for move in moves if move.by is By.SOFTWARE]
        done = 0  # moves of software so far
        for move in moves:
            if move.by is By.SOFTWARE:
                stage, step = stage_of[move.moment], moments[move.moment].step
                if done and stage_of[software[done - 1]] == stage:
                    self._goes_on(stage, step, move)
                else:
                    self._software(stage, step, move)
                done += 1
            elif (
                move.by is By.OPERATION
                and 0 < done < len(software)
                and stage_of[software[done - 1]] == stage_of[software[done]]
                and self.rows[-1].agent != CACHES
            ):
                self._extend((), move)  # waited for by the same action
            else:
                self._add(CACHES, _in_words(self.platform, move, self.read), "", "", None, move)
        self._read_row()

    def _steps(self, stage: Stage) -> list[Step]:
        return [step for page, step in stage.action.steps if page == self.page]

    def _emptied(self, before: State, now: State) -> bool:
        """Return whether the page became executable under a VMID that no I-cache has entries of."""
        return self.system.icache.vmid_tagged and any(
            slot.page == self.page and slot.fetched and not old.fetched
            for old, slot in zip(before.slots, now.slots, strict=True)
        )

    def _software(self, stage: int, step: Step | None, move: Move) -> None:
        action = self.stages[stage].action
        self.first_row[stage] = len(self.rows) + 1
        event, why, hook = action.event, action.why, _hook(self.system.policy, action.why)
        if hook:
            why = "; ".join(action.why.split("; ")[1:])
        pages = {page for page, _ in action.steps}
        elsewhere = bool(pages) and self.page not in pages
        self._add(action.agent, event, why, hook, step, move, elsewhere)

    def _goes_on(self, stage: int, step: Step | None, move: Move) -> None:
        """Another step of the same action: part of its row, unless the caches came between."""
        if self.rows[-1].agent != CACHES:
            self._extend((str(step),), move, step)
            return
        action = self.stages[stage].action
        event = str(step).split(" ", 1)[1] if step else ""
        parts = action.event.split("; ")
        done = sum(len(row.steps) for row in self.rows[self.first_row[stage] - 1 :])
        if len(parts) == len(self._steps(self.stages[stage])):
            event = parts[done]
        self._add(action.agent, event, "", _hook(self.system.policy, action.why), step, move)

    def _extend(self, steps: tuple[str, ...], move: Move, step: Step | None = None) -> None:
        last = self.rows[-1]
        self._advance(step, move, last.number)
        self.rows[-1] = replace(
            last,
            steps=(*last.steps, *steps),
            picture=self._picture(),
            moves=(*last.moves, move),
        )

    def _read_row(self) -> None:
        action = self.stages[-1].action
        self.first_row[len(self.stages) - 1] = len(self.rows) + 1
        self.rows.append(
            Row(
                len(self.rows) + 1,
                action.agent,
                action.event,
                action.why,
                "",
                (str(self.read),),
                self._picture(),
                Mark.STALE,
            )
        )

    def _add(
        self,
        agent: str,
        event: str,
        why: str,
        hook: str,
        step: Step | None,
        move: Move,
        elsewhere: bool = False,
    ) -> None:
        number = len(self.rows) + 1
        self._advance(step, move, number)
        if move.note:
            why = f"{why}; {move.note}" if why else move.note
        steps = (str(step),) if step else ()
        row = Row(number, agent, event, why, hook, steps, self._picture())
        self.rows.append(replace(row, elsewhere=elsewhere, moves=(move,)))

    def _advance(self, step: Step | None, move: Move, number: int) -> None:
        self._data = provenance.after(self.platform, self._data, move, step, self.read, number)
        self._situation = move.after
        if move.by is By.SOFTWARE and provenance.writes(step, self.read):
            self.latest, self.latest_step = number, step

    def _picture(self) -> Picture:
        now = self._situation
        pending = [
            f"P{pe} {waiting.op.spelling}" for pe, queue in now.cell.queues for waiting in queue
        ]
        pending += [f"P{pe} {op.spelling}" for pe, op in now.invalidations]
        caches = now.caches
        return Picture(
            caches.levels, caches.memory_latest, now.icache, self._data, tuple(pending)
        )

    # --- What it comes to ------------------------------------------------------------------------

    @property
    def read_verdict(self) -> str:
        """What the read was judged: "stale" or "unsynced"."""
        return self.stages[-1].action.read or ""

    def _mark(self) -> None:
        got = whose(self.platform, self.rows, self.read) if self.read_verdict == "stale" else BEFORE
        for number, mark in ((self.latest, Mark.LATEST), (got, Mark.SOURCE)):
            if number != BEFORE:
                self.rows[number - 1] = replace(self.rows[number - 1], mark=mark)

    def agents(self) -> tuple[str, ...]:
        """Return the columns: the scenario's agents that do something, then the caches."""
        seen = {row.agent for row in self.rows}
        columns = [name for name in self.system.names if name in seen]
        return (*columns, *([CACHES] if CACHES in seen else []))

    def reasons(self) -> Iterator[str]:
        """Yield why the maintenance was not enough."""
        if self.read_verdict == "stale":
            yield from reasons.not_enough(self.platform, self.rows, self.read, self.latest)
        else:
            yield f"since then P{self.read.agent} has had no context synchronization event"

    def remedy(self, found: Repair) -> Remedy:
        """Return a repair with the rows that its hooks come before."""
        rows = [(hook, self.first_row[stage]) for hook, stage in found.before]
        operations = tuple(op.spelling for op in found.operations)
        return Remedy(found.hooks, operations, found.states, tuple(rows))


def _kinds(state: State, page: int) -> frozenset[Kind]:
    """Return the attributes with which the page may be fetched from: guests may do so uncached."""
    guests = any(slot.page == page and slot.mapped and slot.executable for slot in state.slots)
    return CACHEABLE | {Kind.NC} if guests else CACHEABLE


def _hook(policy: Policy, why: str) -> str:
    head, _, rest = why.split("; ")[0].partition(": ")
    hook = rest.split(":")[0]
    return hook if head == policy.name and hook in HOOKS else ""


def _in_words(platform: Platform, move: Move, read: Step) -> str:
    """Return what the caches did, with the places' names."""
    names = [*(level.name for level in platform.levels), "memory"]
    before = move.before.caches
    if move.by is By.OPERATION:
        words = f"P{move.issuer}'s {move.act} takes effect"
        dirty = any(copy.dirty for copy in before.levels)
        if move.op in INSTRUCTION_MAINTENANCE or before != move.after.caches or not dirty:
            return words
        assert move.op is not None
        if may_miss(platform, move.op):
            return f"{words}, and misses the line: another PE's cache has it"
        return f"{words}, and reaches no cache that has the data"
    if move.act == "fetch ahead" and move.moment == 0:
        return f"P{read.agent}'s I-cache holds an instruction of the page's last owner"
    if move.act == "fetch ahead":
        cached = read_kind(read) is Kind.WB
        source = names[platform.pou] if cached else "memory"
        return f"P{read.agent}'s I-cache takes the instruction from {source}"
    if move.act == "drop instruction":
        return f"P{read.agent}'s I-cache drops the instruction"
    *act, last = move.act.split()
    level = int(last)
    name = names[level]
    if act[0] == "fill":
        held = (n for n in range(level + 1, len(before.levels)) if before.levels[n] is not Copy.ABSENT)
        return f"{name} fills from {names[next(held, len(before.levels))]}, unasked"
    return {
        "write": f"{name} writes back to {names[level + 1]}, keeps a clean copy",
        "evict": f"{name} evicts to {names[level + 1]}",
        "drop": f"{name} drops its clean copy",
    }[act[0]]


def _line_repair(platform: Platform, told: _Telling) -> tuple[str, ...]:
    """Return the calculator's cheapest repair; steps to insert earlier name the row."""
    rows = [row.number for row in told.rows for _ in row.steps]
    cure = calculator.judge(platform, told.word)[-1].repair
    return tuple(_by_row(step, rows) for step in cure)


def _by_row(step: str, rows: Sequence[int]) -> str:
    where, _, rest = step.partition(": ")
    if not rest:
        return step
    return f"before row {rows[int(where.split()[-1])]}: {rest}"
