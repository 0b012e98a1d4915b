"""Many independent checks at once, each in a process of its own pool.

Workers are spawned, not forked: a task is a module-level function and arguments that can be pickled,
and a script that calls `check_all` does so under `if __name__ == "__main__"`. Each worker takes one task
at a time, so that a worker that dies (out of memory, say) costs its task only, and is replaced.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Task(Generic[R]):
    """A call to make: `function(*arguments)`, with a name to report it by."""

    name: str
    function: Callable[..., R]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of a task: its value, or in one line what went wrong, and the traceback."""

    name: str
    value: R | None
    error: str | None = None
    details: str = ""

    def get(self) -> R:
        """Return the value. Raises TaskError, naming the task, if there is none."""
        if self.error is not None:
            raise TaskError(self)
        return self.value  # type: ignore[return-value]  # None only if R allows it


class TaskError(Exception):
    """A task that raised, or whose process ended."""

    def __init__(self, outcome: Outcome[Any]) -> None:
        super().__init__(f"{outcome.name}: {outcome.error}")
        self.outcome = outcome

    def __reduce__(self) -> tuple[type[TaskError], tuple[Outcome[Any]]]:
        return TaskError, (self.outcome,)


def check_all(
    tasks: Iterable[Task[R]],
    jobs: int = 1,
    on_result: Callable[[Outcome[R]], None] | None = None,
) -> list[Outcome[R]]:
    """Run the tasks in up to `jobs` processes (1: in this one); return outcomes in order of tasks.

    `on_result` gets each outcome as it comes, in any order. Tasks start in the order given: put long
    ones first. An exception here, KeyboardInterrupt among them, ends all workers and passes on.
    """
    tasks = list(tasks)
    if jobs < 1:
        raise ValueError(f"was given {jobs} jobs, but takes 1 or more")
    outcomes: dict[int, Outcome[R]] = {}

    def done(number: int, outcome: Outcome[R]) -> None:
        outcomes[number] = outcome
        if on_result is not None:
            on_result(outcome)

    if jobs == 1 or len(tasks) < 2:
        for number, task in enumerate(tasks):
            done(number, _run(task))
    else:
        _Pool(tasks, min(jobs, len(tasks)), done).run()
    return [outcomes[number] for number in range(len(tasks))]


def _run(task: Task[R]) -> Outcome[R]:
    try:
        return Outcome(task.name, task.function(*task.arguments))
    except Exception as error:
        return _failed(task.name, error)


def _failed(name: str, error: Exception) -> Outcome[Any]:
    shown = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Outcome(name, None, shown, traceback.format_exc())


def _work(connection: Connection) -> None:
    """Answer tasks until the other end closes: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    while True:
        try:
            task: Task[Any] = connection.recv()
        except EOFError:
            return
        except Exception as error:  # a task that pickles and does not unpickle
            connection.send(_failed("", error))
            continue
        outcome = _run(task)
        try:
            connection.send(outcome)
        except Exception as error:  # a value that does not pickle
            connection.send(_failed(task.name, error))


class _Worker:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.task: int | None = None

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


class _Pool(Generic[R]):
    """Up to `jobs` workers with a task each, until no task is left."""

    def __init__(
        self, tasks: list[Task[R]], jobs: int, done: Callable[[int, Outcome[R]], None]
    ) -> None:
        self._tasks = tasks
        self._todo = list(range(len(tasks)))[::-1]
        self._jobs = jobs
        self._done = done
        self._workers: list[_Worker] = []

    def run(self) -> None:
        try:
            while self._hand_out():
                busy = {w.connection: w for w in self._workers if w.task is not None}
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    self._receive(busy[connection])
        finally:
            for worker in self._workers:
                worker.end()

    def _hand_out(self) -> bool:
        """Give idle workers tasks, new workers if need be; return whether any is busy."""
        while self._todo:
            worker = next((w for w in self._workers if w.task is None), None)
            if worker is None and len(self._workers) == self._jobs:
                break
            if worker is None:
                worker = _Worker()
                self._workers.append(worker)
            number = self._todo.pop()
            try:
                worker.connection.send(self._tasks[number])
            except Exception as error:  # a task that does not pickle, or the worker is gone
                if isinstance(error, OSError):
                    self._workers.remove(worker)
                    worker.end()
                self._done(number, _failed(self._tasks[number].name, error))
            else:
                worker.task = number
        return any(worker.task is not None for worker in self._workers)

    def _receive(self, worker: _Worker) -> None:
        assert worker.task is not None
        number, worker.task = worker.task, None
        name = self._tasks[number].name
        try:
            outcome: Outcome[R] = worker.connection.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.process.join()
            code = worker.process.exitcode
            outcome = Outcome(name, None, f"its process ended with exit code {code}")
        except Exception as error:  # a value that pickles and does not unpickle
            outcome = _failed(name, error)
        self._done(number, Outcome(name, outcome.value, outcome.error, outcome.details))
