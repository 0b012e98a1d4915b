"""A sweep's points as tasks: what a worker gets, and what it does with it.

Platform and cost set travel as records; a policy by name, one of a user's file as the file's text, so
that a worker on another machine needs no file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import itertools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocwatch import schedulers
from pocwatch.cli import authored
from pocwatch.cost.model import CostModel
from pocwatch.cost.start import option, record
from pocwatch.cost.start.assumptions import Assumptions
from pocwatch.cost.start.boot import Boot
from pocwatch.cost.start.option import Outcome
from pocwatch.cost.start.vm import Vm
from pocwatch.cost.sweep import kept
from pocwatch.kvm.policy import Policy, PolicyError
from pocwatch.platforms import Platform
from pocwatch.sanitizer.errors import UsageError

_CODE = ("cost", "cost/start", "kvm", "kvm/policies")  # what results depend on


@dataclass(frozen=True, slots=True)
class Point:
    """One policy on one VM. `source`: the text of the user's file that `reference` is."""

    reference: str
    policy: str
    source: str | None
    platform: Platform
    model: CostModel
    vm: Vm
    assumed: Assumptions
    seed: int

    @property
    def key(self) -> str:
        """A name for everything that the result depends on."""
        return kept.key({"point": repr(self), "code": code()})


@functools.cache
def code() -> str:
    """Return a digest of the code that computes results."""
    digest = hashlib.sha256()
    package = importlib.resources.files("pocwatch")
    for folder in _CODE:
        files = (f for f in package.joinpath(folder).iterdir() if f.name.endswith(".py"))
        for file in sorted(files, key=lambda f: f.name):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def policies(references: Iterable[str]) -> list[tuple[str, str | None, Policy]]:
    """Return reference, text of the user's file and policy of everything named. Raises UsageError."""
    return [
        (reference, Path(reference).read_text() if reference.endswith(".py") else None, policy)
        for reference in references
        for policy in authored.policies_of(reference)
    ]


@functools.lru_cache(maxsize=256)
def _policy(reference: str, name: str, source: str | None) -> Policy:
    if source is None:
        return authored.policy(reference)
    # authored takes a path; the module stays loaded after the file is gone.
    with tempfile.TemporaryDirectory(prefix="pocwatch-") as folder:
        file = Path(folder) / Path(reference).name
        file.write_text(source)
        return next(p for p in authored.policies_of(str(file)) if p.name == name)


def priced(point: Point) -> list[dict[str, Any]]:
    """Return the point's outcomes as JSON values. Raises UsageError if its policy is broken."""
    try:
        found = option.outcomes(
            _policy(point.reference, point.policy, point.source),
            point.platform,
            point.model,
            Boot(point.assumed),
            point.vm,
            point.seed,
        )
    except PolicyError as error:
        raise UsageError(str(error)) from None
    return [record.to_json(outcome) for outcome in found]


def price_all(
    points: Sequence[Point],
    scheduler: str,
    store: kept.Kept,
    on_done: Callable[[int], None],
) -> list[Outcome]:
    """Price all points, but not those in the store; return outcomes in the order of the points.

    `on_done` gets the number of points that are there by then. Raises UsageError, SweepError,
    SchedulerError and ClusterError; what was done until then is in the store.
    """
    by_key = {point.key: point for point in points}
    missing = {name: point for name, point in by_key.items() if name not in store.results}
    done = len(by_key) - len(missing)
    on_done(done)
    for name, result in schedulers.run(priced, missing, scheduler):
        store.add(name, result)
        done += 1
        on_done(done)
    results = (store.results[point.key] for point in points)
    return [record.from_json(value) for value in itertools.chain.from_iterable(results)]
