"""Runs that wait for ever: the shortest way into a cycle or a dead end on which a goal never comes.

Works on the numbered state graph that the search leaves behind. A weakly fair run stays in one strongly
connected part of the waiting states; one that visits all of the part and takes all its steps is as fair
as any, so a part has a fair cycle exactly if every class that is possible in all its states is taken
by some step inside it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

Classes = Sequence[Hashable | None]


@dataclass(frozen=True, slots=True)
class Graph:
    """The states seen, as numbers, and the steps out of those expanded.

    Step `edge` of state s, for edge in `out(s)`, leads to `targets[edge]`. States from
    `len(offsets) - 1` on were seen and not expanded: nothing is known of their steps.
    """

    starts: Sequence[int]
    states: int
    offsets: array[int]
    targets: array[int]

    def out(self, state: int) -> range:
        if state + 1 >= len(self.offsets):
            return range(0)
        return range(self.offsets[state], self.offsets[state + 1])

    def is_dead_end(self, state: int) -> bool:
        return state + 1 < len(self.offsets) and not self.out(state)


@dataclass(frozen=True, slots=True)
class Lasso:
    """A start, the steps (edges) into a cycle and round it; an empty cycle is a dead end."""

    start: int
    stem: tuple[int, ...]
    cycle: tuple[int, ...]


def find_lasso(
    graph: Graph,
    waiting: Sequence[int],
    armed_by: Sequence[int],
    starts_only: bool,
    classes_of: Callable[[int], Classes] | None,
) -> Lasso | None:
    """Return a run that is armed at some state and from there on waits for ever, or None.

    `waiting[s]` and `armed_by[s]` are flags; a run is armed in a waiting state of `armed_by`, only at
    its start if `starts_only`. `classes_of(s)` gives the fairness class of each step of s, in order.
    The way to the cycle or dead end is shortest; so is the cycle if nothing is fair.
    """
    part_of, parts = _cyclic_parts(graph, waiting)
    if classes_of is not None:
        for state in range(graph.states):
            if part_of[state] in parts:
                parts[part_of[state]].add(graph, part_of, state, classes_of)
    may_wait = {part for part, fairness in parts.items() if fairness.allows_a_cycle()}
    if not may_wait and not any(
        waiting[state] and graph.is_dead_end(state) for state in range(graph.states)
    ):
        return None
    ways = _Ways(graph, waiting, armed_by, starts_only)
    for state in ways.armed:
        if graph.is_dead_end(state):
            return Lasso(*ways.to(state), ())
        if part_of[state] in may_wait:
            part = parts[part_of[state]]
            cycle = _fair_cycle(graph, part_of, state, part, classes_of)
            return Lasso(*ways.to(state), cycle)
    return None


class _Ways:
    """Shortest ways to all (state, armed) pairs. `armed` lists the armed states, nearest first."""

    def __init__(
        self, graph: Graph, waiting: Sequence[int], armed_by: Sequence[int], starts_only: bool
    ) -> None:
        # Node 2 * s is state s, 2 * s + 1 the same armed; arming costs no step. -2 is not reached.
        self._came_from = array("q", [-2]) * (2 * graph.states)
        self._came_by = array("q", [-1]) * (2 * graph.states)
        self.armed: list[int] = []
        order: list[int] = []

        def visit(node: int, source: int, edge: int) -> None:
            if self._came_from[node] == -2:
                self._came_from[node] = source
                self._came_by[node] = edge
                order.append(node)
                if node & 1:
                    self.armed.append(node >> 1)

        def arrive(state: int, source: int, edge: int) -> None:
            if armed_by[state] and waiting[state]:
                visit(2 * state + 1, source, edge)
            if not starts_only:
                visit(2 * state, source, edge)

        for start in graph.starts:
            arrive(start, -1, -1)
        for node in order:  # grows while it is walked
            for edge in graph.out(node >> 1):
                target = graph.targets[edge]
                if not node & 1:
                    arrive(target, node, edge)
                elif waiting[target]:
                    visit(2 * target + 1, node, edge)

    def to(self, state: int) -> tuple[int, tuple[int, ...]]:
        """Return a start and the edges from there to the state, armed."""
        edges: list[int] = []
        node = 2 * state + 1
        while self._came_from[node] >= 0:
            edges.append(self._came_by[node])
            node = self._came_from[node]
        return node >> 1, tuple(reversed(edges))


class _Fairness:
    """What the states and inner steps of a cyclic part say of the fairness classes."""

    def __init__(self) -> None:
        self.possible_everywhere: set[Hashable] | None = None
        self.possible_somewhere: dict[Hashable, None] = {}  # in order of discovery
        self.taken: set[Hashable] = set()

    def add(
        self,
        graph: Graph,
        part_of: Sequence[int],
        state: int,
        classes_of: Callable[[int], Classes],
    ) -> None:
        classes = classes_of(state)
        possible = {c: None for c in classes if c is not None}
        self.possible_somewhere |= possible
        if self.possible_everywhere is None:
            self.possible_everywhere = set(possible)
        else:
            self.possible_everywhere &= possible.keys()
        for edge, taken in zip(graph.out(state), classes, strict=True):
            if part_of[graph.targets[edge]] == part_of[state]:
                self.taken.add(taken)

    def allows_a_cycle(self) -> bool:
        return (self.possible_everywhere or set()) <= self.taken


def _cyclic_parts(
    graph: Graph, waiting: Sequence[int]
) -> tuple[Sequence[int], dict[int, _Fairness]]:
    """Return the strongly connected part of each waiting state, and the parts that have a cycle.

    Steps to other states do not count. Tarjan's algorithm with a stack of its own.
    """
    targets = graph.targets
    discovered = array("i", [0]) * graph.states  # 1, 2, ... in order; 0 is not yet
    low = array("i", [0]) * graph.states
    part_of = array("i", [-1]) * graph.states
    count = 0
    cyclic: dict[int, _Fairness] = {}
    path: list[int] = []  # discovered, not yet in a part
    for root in range(graph.states):
        if discovered[root] or not waiting[root]:
            continue
        todo: list[tuple[int, Iterator[int]]] = []
        descend: int | None = root
        while True:
            if descend is not None:
                count += 1
                discovered[descend] = low[descend] = count
                path.append(descend)
                todo.append((descend, iter(graph.out(descend))))
                descend = None
            state, edges = todo[-1]
            for edge in edges:
                target = targets[edge]
                if not discovered[target]:
                    if waiting[target]:
                        descend = target
                        break
                elif part_of[target] < 0 and discovered[target] < low[state]:
                    low[state] = discovered[target]
            if descend is not None:
                continue
            todo.pop()
            if low[state] == discovered[state]:
                if path[-1] != state or any(targets[edge] == state for edge in graph.out(state)):
                    cyclic[state] = _Fairness()
                while part_of[state] < 0:
                    part_of[path.pop()] = state
            if not todo:
                break
            above = todo[-1][0]
            low[above] = min(low[above], low[state])
    return part_of, cyclic


def _fair_cycle(
    graph: Graph,
    part_of: Sequence[int],
    entry: int,
    part: _Fairness,
    classes_of: Callable[[int], Classes] | None,
) -> tuple[int, ...]:
    """Return the edges of a cycle through the entry that is fair to every class."""
    cycle: list[int] = []
    here = entry
    if classes_of is not None:
        settled: set[Hashable] = set(part.possible_somewhere) - set(classes_of(entry))
        for wanted in part.possible_somewhere:
            if wanted in settled:
                continue

            def settles(state: int, edge: int, wanted: Hashable = wanted) -> bool:
                taken = classes_of(state)[edge - graph.out(state).start] == wanted
                return taken or wanted not in classes_of(graph.targets[edge])

            way = _shortest(graph, part_of, here, settles)
            for edge in way:
                classes = classes_of(here)
                taken = classes[edge - graph.out(here).start]
                here = graph.targets[edge]
                settled |= {taken} | (set(part.possible_somewhere) - set(classes_of(here)))
            cycle += way
    if not cycle or here != entry:
        cycle += _shortest(graph, part_of, here, lambda _, edge: graph.targets[edge] == entry)
    return tuple(cycle)


def _shortest(
    graph: Graph, part_of: Sequence[int], origin: int, accepts: Callable[[int, int], bool]
) -> list[int]:
    """Return the fewest edges inside the origin's part, at least one, the last one accepted."""
    came: dict[int, tuple[int, int]] = {}
    order = [origin]
    for state in order:  # grows while it is walked
        for edge in graph.out(state):
            target = graph.targets[edge]
            if part_of[target] != part_of[origin]:
                continue
            if accepts(state, edge):
                way = [edge]
                while state != origin:
                    state, edge = came[state]
                    way.append(edge)
                return way[::-1]
            if target != origin and target not in came:
                came[target] = (state, edge)
                order.append(target)
    raise AssertionError("a strongly connected part has such a way")
