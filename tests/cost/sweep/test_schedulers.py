"""The same results from every scheduler, and none lost when a worker is killed."""

from __future__ import annotations

import operator
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pocwatch import platforms, schedulers
from pocwatch.cli import points
from pocwatch.cost import model
from pocwatch.cost.start import vm
from pocwatch.cost.start.assumptions import Assumptions
from pocwatch.cost.sweep import kept
from pocwatch.schedulers import SchedulerError

# distributed's own sockets and event loops, closed late.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
POLICIES = ("poc-on-fault", "clean-ram-at-first-run", "user-space", "mainline-2021")


def sweep(vcpus: int = 4) -> list[points.Point]:
    platform, costs = platforms.load("xgene-l3"), model.load()
    return [
        points.Point(name, name, None, platform, costs, vm.make(1 << n, vcpus=vcpus), Assumptions(), 0)
        for n in range(26, 41)
        for name in POLICIES
    ]


@pytest.fixture(scope="module")
def here() -> list[Any]:
    return points.price_all(sweep(), "here", kept.Kept(), lambda _: None)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask_s_own_pools_give_the_same(scheduler: str, here: list[Any]) -> None:
    done: list[int] = []
    found = points.price_all(sweep(), scheduler, kept.Kept(), done.append)
    assert found == here
    assert done == list(range(61))


@pytest.fixture
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


def pids(cluster: Any) -> dict[str, int]:
    from distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        found = client.run(os.getpid)
    assert isinstance(found, dict)
    return found


def test_a_worker_is_killed_and_nothing_is_lost(cluster: Any, here: list[Any], tmp_path: Any) -> None:
    """Killed by SIGKILL with a fifth of the points done; what it had in work is done elsewhere."""
    before = pids(cluster)
    assert len(before) == 2
    victim = next(iter(before.values()))
    killed_at: list[int] = []

    def on_done(done: int) -> None:
        if done >= 12 and not killed_at:
            os.kill(victim, signal.SIGKILL)
            killed_at.append(done)

    with kept.Kept(tmp_path / "sweep.jsonl") as store:
        found = points.price_all(sweep(), cluster.scheduler_address, store, on_done)
    assert killed_at == [12]
    assert found == here
    deadline = time.monotonic() + 60
    while victim in pids(cluster).values() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert victim not in pids(cluster).values()
    with kept.Kept(tmp_path / "sweep.jsonl") as store:
        assert len(store.results) == len(sweep())
        done: list[int] = []
        again = points.price_all(sweep(), "here", store, done.append)
    assert again == here
    assert done == [60], "something was computed again"


def test_no_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(SchedulerError, match=r"--scheduler threads: the package dask is not installed"):
        list(schedulers.run(operator.neg, {"a": 1}, "threads"))


@pytest.mark.parametrize("address", ["cloud", "host:port", "tcp://"])
def test_no_address(address: str) -> None:
    with pytest.raises(SchedulerError, match="accepted are threads, processes, or the address"):
        list(schedulers.run(operator.neg, {"a": 1}, address))


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "_CONNECT_SECONDS", 1)
    with pytest.raises(SchedulerError, match="no Dask scheduler answers there"):
        list(schedulers.run(operator.neg, {"a": 1}, "tcp://127.0.0.1:9"))


def test_what_a_task_raises_comes_through() -> None:
    for scheduler in ("here", "threads"):
        with pytest.raises(TypeError):
            list(schedulers.run(operator.neg, {"a": "text"}, scheduler))
