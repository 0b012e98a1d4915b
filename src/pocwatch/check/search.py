"""The search: breadth first to the fixpoint, so what it finds is shortest and what holds is proved.

States are numbered in order of discovery; a parent per state, and the steps if a claim is about runs,
are all that is kept beside the states. Claims on states and steps are judged as these are found
(`judge`), claims on runs afterwards (`cycles`). Only a full search says `holds` of an `always`, or
`unreached` of a `sometimes`.
"""

from __future__ import annotations

import enum
import time
from array import array
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NoReturn

from pocwatch.check.claims import Claim, Mode, RunClaim, Since, StateClaim, StepClaim
from pocwatch.check.cycles import Graph, Lasso, find_lasso
from pocwatch.check.judge import Judge, Stop, flags
from pocwatch.check.model import A, Model, ModelError, S, raised_by_model
from pocwatch.check.result import Checked, ClaimResult, Ended, Progress, Verdict
from pocwatch.check.trace import Tracer


class Symmetry(enum.Enum):
    """Whether to use the model's `canonical`, if it has one."""

    USED = "used"
    IGNORED = "ignored"


class Interrupt(enum.Enum):
    """What KeyboardInterrupt does: it passes on, or ends the search with what is known."""

    RAISES = "raises"
    ENDS = "ends"


def check(
    model: Model[S, A],
    *,
    stop: Stop = Stop.AT_FIRST,
    symmetry: Symmetry = Symmetry.USED,
    max_states: int | None = None,
    max_seconds: float | None = None,
    interrupt: Interrupt = Interrupt.RAISES,
    progress: Callable[[Progress], None] | None = None,
    progress_seconds: float = 1.0,
) -> Checked[S, A]:
    """Judge the claims of a model over all its reachable states.

    `progress` is called about every `progress_seconds`. Raises ModelError if the model is broken: if it
    or a claim raises, a predicate returns no bool, a state is not hashable, two claims have one name,
    there is no initial state, or fairness is to be combined with symmetry (a class of actions of one
    component means nothing where components are exchanged).
    """
    canonical = getattr(model, "canonical", None) if symmetry is Symmetry.USED else None
    claims = list(model.claims)
    _refuse(claims, canonical)
    clock = _Clock(max_seconds, progress, progress_seconds)
    search = _Search(model, claims, canonical, stop, max_states, clock)
    try:
        ended = search.explore()
        ended = search.judge_runs(ended)
    except KeyboardInterrupt:
        if interrupt is Interrupt.RAISES:
            raise
        ended = Ended.INTERRUPTED
    return search.result(ended)


def _refuse(claims: Sequence[Claim[S, A]], canonical: Callable[[S], S] | None) -> None:
    names: set[str] = set()
    for claim in claims:
        if claim.name in names:
            raise ModelError(f"two claims have the name {claim.name!r}; give each its own")
        names.add(claim.name)
        if canonical is not None and isinstance(claim, RunClaim) and claim.fair is not None:
            raise ModelError(
                f"claim {claim.name!r} assumes fairness and the model has symmetry: check it with "
                "Symmetry.IGNORED, or state it without fairness"
            )


class _Clock:
    """Seconds since the start, the limit on them, and when to tell of progress."""

    def __init__(
        self,
        max_seconds: float | None,
        progress: Callable[[Progress], None] | None,
        progress_seconds: float,
    ) -> None:
        self._start = time.monotonic()
        self._max_seconds = max_seconds
        self._progress = progress
        self._progress_seconds = progress_seconds
        self._next = progress_seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def is_over(self) -> bool:
        return self._max_seconds is not None and self.seconds >= self._max_seconds

    def tell(self, states: int, expanded: int, depth: int, transitions: int) -> None:
        seconds = self.seconds
        if self._progress is not None and seconds >= self._next:
            self._next = seconds + self._progress_seconds
            self._progress(Progress(states, states - expanded, depth, transitions, seconds))


class _Search(Generic[S, A]):
    """One search: the states by number, where each came from, and what is known of the claims."""

    def __init__(
        self,
        model: Model[S, A],
        claims: Sequence[Claim[S, A]],
        canonical: Callable[[S], S] | None,
        stop: Stop,
        max_states: int | None,
        clock: _Clock,
    ) -> None:
        self._model = model
        self._claims = claims
        self._canonical = canonical
        self._stop = stop
        self._max_states = max_states
        self._clock = clock
        self._judge = Judge(claims, stop)
        self._run_claims = [c for c in claims if isinstance(c, RunClaim)]
        self._states: list[S] = []  # of each class of equal states, the one met first
        self._numbers: dict[S, int] = {}  # by canonical state
        self._parents = array("i")
        self._starts = 0
        self._offsets = array("q", [0])  # the graph: see cycles.Graph
        self._targets = array("i")
        self._transitions = 0
        self._depth = 0
        self._complete = False
        self._lassos: dict[str, Lasso | None] = {}

    def explore(self) -> Ended:
        """Number the reachable states until none is left or something ends the search."""
        ended = self._start()
        if ended is not None:
            return ended
        states, numbers, parents = self._states, self._numbers, self._parents
        actions, canonical, limit = self._model.actions, self._canonical, self._max_states
        judge = self._judge
        on_states, on_steps, on_dead_ends = judge.on_states, judge.on_steps, judge.on_dead_ends
        targets = self._targets if self._run_claims else None
        level_end = len(states)
        transitions = 0
        state = states[0]
        try:
            for number, state in enumerate(states):  # grows while it is walked
                if number == level_end:
                    self._depth += 1
                    level_end = len(states)
                if not number & 63:
                    self._clock.tell(len(states), number, self._depth, transitions)
                    if self._clock.is_over():
                        return Ended.MAX_SECONDS
                before = transitions
                for action, after in actions(state):
                    transitions += 1
                    key = after if canonical is None else canonical(after)
                    target = numbers.get(key)
                    if target is None:
                        target = len(states)
                        if target == limit:
                            return Ended.MAX_STATES
                        numbers[key] = target
                        parents.append(number)
                        states.append(after)
                        if on_states and judge.new_state(target, after, action):
                            return Ended.FAILED
                    if targets is not None:
                        targets.append(target)
                    if on_steps and judge.step(number, state, action, after):
                        return Ended.FAILED
                if transitions == before and on_dead_ends and judge.dead_end(number, state):
                    return Ended.FAILED
                if targets is not None:
                    self._offsets.append(len(targets))
        except ModelError:
            raise
        except Exception as error:
            self._blame(state, error)
        finally:
            self._transitions = transitions
            self._depth += len(states) > level_end  # stopped with a level begun
        self._complete = True
        return Ended.FIXPOINT

    def _start(self) -> Ended | None:
        try:
            initial = list(self._model.initial())
        except Exception as error:
            raise raised_by_model("initial()", error) from error
        if not initial:
            raise ModelError("the model has no initial state: nothing could be checked")
        for state in initial:
            key = self._class_of(state, "as initial state")
            if key in self._numbers:
                continue
            if self._starts == self._max_states:
                return Ended.MAX_STATES
            self._numbers[key] = self._starts
            self._parents.append(-1)
            self._states.append(state)
            self._starts += 1
            if self._judge.new_state(self._starts - 1, state, None):
                return Ended.FAILED
        return None

    def _blame(self, state: S, error: Exception) -> NoReturn:
        """Raise for an exception while a state was expanded: go again, slowly, to see what raised."""
        action: A | None = None
        try:
            for action, after in self._model.actions(state):
                self._class_of(after, f"after action {action!r} from state {state!r}", action)
        except ModelError:
            raise
        except Exception as again:
            what = f"actions({state!r})"
            if action is not None:
                what += f", after action {action!r},"
            raise raised_by_model(what, again, state, action) from again
        error.add_note(f"during the search, at state {state!r}; it did not happen a second time")
        raise error

    def _class_of(self, state: S, where: str, action: A | None = None) -> S:
        what = "canonical"
        try:
            key = state if self._canonical is None else self._canonical(state)
            what = "the hash"
            hash(key)
        except Exception as error:
            whole = f"{what} of state {state!r}, {where},"
            raise raised_by_model(whole, error, state, action) from error
        return key

    def judge_runs(self, ended: Ended) -> Ended:
        """Look for a run against each run claim, in what was seen; return why the search ended."""
        if ended in (Ended.FAILED, Ended.MAX_SECONDS):
            return ended
        graph = self._graph()
        for claim in self._run_claims:
            if self._clock.is_over():
                return Ended.MAX_SECONDS
            goals = flags(claim.name, claim.goal, self._states)
            waiting = goals.translate(b"\1\0" + bytes(254))
            armed = flags(claim.name, claim.trigger, self._states)
            starts_only = claim.since is Since.START
            classes_of = self._classes_of(claim, graph)
            self._lassos[claim.name] = find_lasso(graph, waiting, armed, starts_only, classes_of)
            if self._lassos[claim.name] is not None and self._stop is Stop.AT_FIRST:
                return Ended.FAILED
        return ended

    def _graph(self) -> Graph:
        return Graph(range(self._starts), len(self._states), self._offsets, self._targets)

    def _classes_of(
        self, claim: RunClaim[S, A], graph: Graph
    ) -> Callable[[int], Sequence[Hashable | None]] | None:
        fair = claim.fair
        if fair is None:
            return None

        def classes_of(number: int) -> Sequence[Hashable | None]:
            if not graph.out(number):
                return ()
            state = self._states[number]
            try:
                classes = [fair(action) for action, _ in self._model.actions(state)]
            except Exception as error:
                what = f"the fairness of claim {claim.name!r}, on an action from state {state!r},"
                raise raised_by_model(what, error, state) from error
            if len(classes) != len(graph.out(number)):
                raise ModelError(f"actions({state!r}) gave other actions than before", state)
            return classes

        return classes_of

    def result(self, ended: Ended) -> Checked[S, A]:
        """Return what is known of each claim, and how much was seen."""
        tracer = Tracer(self._model, self._states, self._parents, self._number_of)
        return Checked(
            claims=tuple(self._judged(claim, tracer) for claim in self._claims),
            states=len(self._states),
            transitions=self._transitions,
            depth=self._depth,
            complete=self._complete,
            ended=ended,
            seconds=self._clock.seconds,
        )

    def _judged(self, claim: Claim[S, A], tracer: Tracer[S, A]) -> ClaimResult[S, A]:
        finding = self._judge.findings.get(claim.name)
        if finding is not None:
            trace = tracer.shortest(finding.number, finding.last)
            return ClaimResult(claim.name, finding.verdict, trace)
        lasso = self._lassos.get(claim.name)
        if lasso is not None:
            trace = tracer.lasso(self._graph(), lasso, symmetric=self._canonical is not None)
            return ClaimResult(claim.name, Verdict.VIOLATED, trace)
        if not self._complete or (isinstance(claim, RunClaim) and claim.name not in self._lassos):
            return ClaimResult(claim.name, Verdict.UNKNOWN)
        wanted = isinstance(claim, StateClaim | StepClaim) and claim.mode is Mode.SOMETIMES
        return ClaimResult(claim.name, Verdict.UNREACHED if wanted else Verdict.HOLDS)

    def _number_of(self, state: S) -> int | None:
        return self._numbers.get(state if self._canonical is None else self._canonical(state))
