"""The slow end of a search: what it left over is judged in full, several policies at once.

Raises nothing of its own: what cannot be judged in time stays unconfirmed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pocwatch.check.pool import Task, check_all
from pocwatch.kvm import policy
from pocwatch.kvm.guest import Stage2
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.kvm.synth.search import Found, OutOfTime, Search
from pocwatch.kvm.synth.space import Candidate, Space
from pocwatch.kvm.verdict import Result, Word, decide


def decided(
    space: Space, candidate: Candidate, scenario: str, forced: Stage2, max_seconds: float | None
) -> Result:
    """Judge a candidate as any policy is judged."""
    made = policy.of(space.author(candidate))
    return decide(
        SCENARIOS[scenario], made, space.platform, forced=forced, max_seconds=max_seconds
    )


def run(
    search: Search,
    scenarios: Sequence[str],
    forced: Stage2,
    jobs: int,
    deadline: float | None,
    tell: Callable[[str], None],
) -> dict[Candidate, list[Result]]:
    """Run the search until every policy of its front is judged safe in all scenarios, in full.

    Return the results by policy. Raises OutOfTime.
    """
    known: dict[Candidate, list[Result]] = {}
    while True:
        search.run()
        todo = [found for found in search.front if found.candidate not in known]
        if not todo:
            return known
        tell(f"judging {len(todo)} policies in full")
        for found, results in zip(
            todo, _judged(search, todo, scenarios, forced, jobs, deadline), strict=True
        ):
            known[found.candidate] = results
            for result in results:
                if result.verdict is Word.UNKNOWN:
                    raise OutOfTime
                if result.verdict is not Word.SAFE:
                    search.take_back(found, result.scenario)
                    break


def _judged(
    search: Search,
    todo: Sequence[Found],
    scenarios: Sequence[str],
    forced: Stage2,
    jobs: int,
    deadline: float | None,
) -> list[list[Result]]:
    left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
    if left is not None:  # each policy has one long scenario
        left *= min(1.0, jobs / len(todo))
    cells = [(found, name) for found in todo for name in scenarios]
    order = sorted(range(len(cells)), key=lambda n: -scenarios.index(cells[n][1]))
    tasks = [
        Task(str(n), decided, (search.space, cells[n][0].candidate, cells[n][1], forced, left))
        for n in order
    ]
    outcomes = {int(o.name): o.get() for o in check_all(tasks, jobs)}
    size = len(scenarios)
    return [[outcomes[n * size + k] for k in range(size)] for n in range(len(todo))]
