"""A cell of the matrix as a concrete program: its control graph as the thread, physical pages as lines.

Only the data side: fetches are not judged, and what concerns instruction caches is not there. What no
line sees (a stage 2 entry is written, a guest is entered) is left out as well: it has done its part by
saying what may come after what.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pocwatch.arch.ops import DATA_MAINTENANCE, Op
from pocwatch.kvm.control import Control, control
from pocwatch.kvm.export.concrete import BARRIERS, Do, ExportError, Instruction, Program, Thread
from pocwatch.kvm.export.exchange import first_touched_first
from pocwatch.kvm.export.graph import Arc, smallest
from pocwatch.kvm.export.meaning import Meaning, meaning
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.policy import Policy
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.state import Action
from pocwatch.kvm.system import MMIO_PAGE, System
from pocwatch.kvm.verdict import ASSUMPTIONS, Result, Word, decide
from pocwatch.line.line import is_read
from pocwatch.line.word import Step
from pocwatch.platforms import Platform

WIDTH = 100


def data_side(scenario: Scenario) -> Scenario:
    """Return the scenario in which only data reads are judged and I-caches are not followed."""
    return replace(scenario, fetches=False)


def program(
    scenario: Scenario, policy: Policy, platform: Platform, forced: Stage2 = Stage2.FORCED
) -> Program:
    """Return the concrete program of a cell.

    Raises ExportError if the policy does not apply or no data read is judged; PolicyError or
    ScenarioError, for the author, if one of them raises.
    """
    name = f"{scenario.name} x {policy.name}"
    reason = policy.why_not(platform, scenario.name)
    if reason is not None:
        raise ExportError(f"{name} on {platform.name}: not applicable: {reason}")
    system = System(data_side(scenario), policy, platform, forced)
    graph = control(system)
    pages = sorted({page for _, action, _ in graph.edges for page in _judged_pages(action)})
    if not pages:
        raise ExportError(
            f"{name} on {platform.name}: only fetches are judged there, and what is exported has none"
        )
    arcs = smallest(_with_needed_barriers(list(_arcs(graph, pages))))
    least = first_touched_first(arcs) if MMIO_PAGE not in pages else arcs
    used = pages[: 1 + max(arc.does.line for arc in least if isinstance(arc.does, Do))]
    about = _about(scenario, policy, used, exchanged=least is not arcs)
    return Program(
        name,
        system.platform,
        (Thread("agents", least),),
        len(used),
        system.pes,
        tuple(_wrapped(about)),
    )


def expected(
    scenario: Scenario,
    policy: Policy,
    platform: Platform,
    forced: Stage2 = Stage2.FORCED,
    *,
    max_states: int | None = None,
    max_seconds: float | None = None,
) -> Result:
    """Judge the data side of a cell: what other checkers should find. Raises as `decide`."""
    return decide(
        data_side(scenario),
        policy,
        platform,
        forced=forced,
        max_states=max_states,
        max_seconds=max_seconds,
    )


def with_expected(exported: Program, result: Result) -> Program:
    """Return the program that says in its head what pocwatch found."""
    said = {
        Word.SAFE: f"no read is stale, proved over {result.states:,} states of its own model",
        Word.UNKNOWN: f"unknown, {result.reason}",
    }.get(result.verdict, f"a read may be stale, after {len(result.trace)} actions at the earliest")
    return replace(exported, about=(*exported.about, *_wrapped([f"What pocwatch finds: {said}."])))


def _judged_pages(action: Action) -> Iterator[int]:
    if action.read is not None:
        yield action.steps[_judged(action)][0]


def _judged(action: Action) -> int:
    """Return which step of an action with a judged read that is: the last one that reads."""
    return max(n for n, (_, step) in enumerate(action.steps) if is_read(step))


def _arcs(graph: Control, pages: Sequence[int]) -> Iterator[Arc[Instruction]]:
    """Yield the edges of the control graph, actions with several steps as chains of places."""
    free = graph.places
    for at, action, to in graph.edges:
        notes = (f"{action.agent}: {action.event}" + (f" ({action.why})" if action.why else ""),)
        steps = list(_seen(action, pages))
        for does in steps[:-1]:
            yield Arc(at, does, free, notes)
            at, free = free, free + 1
        yield Arc(at, steps[-1] if steps else None, to, notes)


def _seen(action: Action, pages: Sequence[int]) -> Iterator[Do]:
    """Yield what the lines of these pages see; a barrier, told for each page, once."""
    judged = _judged(action) if action.read is not None else None
    last: Step | None = None
    for number, (page, step) in enumerate(action.steps):
        if step.op in BARRIERS:
            if step != last:
                yield Do(step)
        elif page in pages and meaning(step) != Meaning():
            yield Do(step, pages.index(page), number == judged)
        last = step


def _with_needed_barriers(arcs: Sequence[Arc[Instruction]]) -> list[Arc[Instruction]]:
    """Leave out barriers of PEs that have nothing to wait for, on whatever way they came there."""
    leaving: dict[int, list[Arc[Instruction]]] = {}
    for arc in arcs:
        leaving.setdefault(arc.at, []).append(arc)
    owing: dict[int, frozenset[int]] = {0: frozenset()}
    todo = [0]
    while todo:
        at = todo.pop()
        for arc in leaving.get(at, ()):
            after = _owing_after(owing[at], arc.does) | owing.get(arc.to, frozenset())
            if after != owing.get(arc.to):
                owing[arc.to] = after
                todo.append(arc.to)

    def is_needed(arc: Arc[Instruction]) -> bool:
        i = arc.does
        return not isinstance(i, Do) or i.step.op not in BARRIERS or i.step.agent in owing[arc.at]

    return [arc if is_needed(arc) else replace(arc, does=None) for arc in arcs]


def _owing_after(before: frozenset[int], does: Instruction | None) -> frozenset[int]:
    """Return the PEs with maintenance that may be pending, or stores that it may come before."""
    if not isinstance(does, Do):
        return before
    pe = does.step.agent
    if does.step.op is Op.DSB:
        return before - {pe}
    if does.step.op in DATA_MAINTENANCE or meaning(does.step).uncached_store:
        return before | {pe}
    return before


def _about(
    scenario: Scenario, policy: Policy, pages: Sequence[int], *, exchanged: bool
) -> Iterator[str]:
    yield ""
    yield f"Scenario {scenario.name}: {scenario.description.rstrip('.')}."
    yield f"Policy {policy.name}: {policy.origin.rstrip('.')}."
    what = (
        "a page of device registers" if page == MMIO_PAGE else "a page for guest RAM" for page in pages
    )
    lines = "; ".join(f"line {line} is {page}" for line, page in enumerate(what))
    yield (
        f"One cache line for a page: {lines}. The thread has all agents: places, and at each what any of "
        "them may do next. A comment, or a rule's name, has the step, then who does it and why."
    )
    if exchanged:
        yield "Pages are alike, so the one that is used first is line 0."
    yield (
        "Left out: the instruction side (fetches are not judged; instruction caches, their maintenance "
        "and VMIDs are not there; `pocwatch check` has them and may find more); what no line sees, such "
        "as a stage 2 entry that is written; barriers of a PE that has nothing to wait for."
    )
    yield "Assumed:"
    yield from (f"- {assumption}" for assumption in ASSUMPTIONS)


def _wrapped(paragraphs: Iterable[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        indent = "  " if paragraph.startswith("- ") else ""
        yield from textwrap.wrap(paragraph, WIDTH, subsequent_indent=indent) or [""]
