"""The pool: order of results, errors that name their task, workers that die, interruption."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from typing import Any

import pytest
from classics import Jugs, TwoPhaseCommit

from pocwatch.check.pool import Outcome, Task, TaskError, check_all
from pocwatch.check.result import Checked
from pocwatch.check.search import check


def checked_commit(count: int) -> Checked[Any, Any]:
    return check(TwoPhaseCommit(count))


def checked_jugs() -> Checked[Any, Any]:
    return check(Jugs())


def fail(text: str) -> int:
    raise ValueError(text)


def die(code: int) -> int:
    os._exit(code)


def sleepy(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def unpicklable() -> Any:
    return lambda: None


class Sour:
    """Pickles, and does not unpickle."""

    def __reduce__(self) -> Any:
        return fail, ("sour",)


def sour() -> Sour:
    return Sour()


TASKS: list[Task[Any]] = [
    Task("three", checked_commit, (3,)),
    Task("jugs", checked_jugs),
    Task("broken", fail, ("no such policy",)),
    Task("four", checked_commit, (4,)),
]


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_tasks(jobs: int) -> None:
    seen: list[str] = []
    outcomes = check_all(TASKS, jobs, lambda outcome: seen.append(outcome.name))
    assert [o.name for o in outcomes] == ["three", "jugs", "broken", "four"]
    assert sorted(seen) == sorted(o.name for o in outcomes)
    assert outcomes[0].get() == checked_commit(3)  # also across processes, time apart
    assert outcomes[1].get() == checked_jugs()
    assert outcomes[3].get().states == 1568
    assert outcomes[2].error == "ValueError: no such policy"
    assert "in fail" in outcomes[2].details
    with pytest.raises(TaskError, match=r"^broken: ValueError: no such policy$"):
        outcomes[2].get()


def test_a_worker_that_dies_costs_its_task_only() -> None:
    tasks: list[Task[Any]] = [
        Task("dies", die, (3,)),
        Task("jugs", checked_jugs),
        Task("no value", unpicklable),
        Task("sour value", sour),
        Task("no task", lambda: 1),
        Task("sour task", len, (Sour(),)),
        Task("sleeps", sleepy, (0.01,)),
    ]
    outcomes = {o.name: o for o in check_all(tasks, 2)}
    assert outcomes["dies"].error == "its process ended with exit code 3"
    assert outcomes["jugs"].get().states > 0
    assert outcomes["sleeps"].get() == 0.01
    for name in ("no value", "no task"):
        assert "pickle" in (outcomes[name].error or "")
    for name in ("sour value", "sour task"):
        assert outcomes[name].error == "ValueError: sour"


class Enough(BaseException):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, Enough])
def test_an_interrupt_ends_the_workers(error: type[BaseException]) -> None:
    def stop(outcome: Outcome[float]) -> None:
        raise error

    tasks = [Task("short", sleepy, (0.0,)), Task("long", sleepy, (60.0,)), *TASKS]
    begin = time.monotonic()
    with pytest.raises(error):
        check_all(tasks, 2, stop)
    assert time.monotonic() - begin < 30


def test_control_c_while_all_work() -> None:
    begin = time.monotonic()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        check_all([Task("one", sleepy, (60.0,)), Task("two", sleepy, (60.0,))], 2)
    timer.join()
    assert time.monotonic() - begin < 30
    assert not multiprocessing.active_children()


def test_no_task_needs_no_worker() -> None:
    assert check_all([], 4) == []


def test_jobs_must_be_positive() -> None:
    with pytest.raises(ValueError, match="was given 0 jobs, but takes 1 or more"):
        check_all([], 0)


def test_a_task_error_survives_pickling() -> None:
    error = TaskError(Outcome("name", None, "what"))
    assert str(pickle.loads(pickle.dumps(error))) == "name: what"
