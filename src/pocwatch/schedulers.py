"""One function over many tasks: here, in Dask's threads or processes, or on a `distributed` cluster.

Results are handed over as they come. A worker that dies takes nothing with it: a task is pure, and is
done again elsewhere.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

HERE = "here"
LOCAL = ("threads", "processes")
_CONNECT_SECONDS = 10
_AT_ONCE = 8  # tasks for a CPU, before their results are handed over

Function = Callable[[Any], Any]


class SchedulerError(Exception):
    """A scheduler that cannot be used; the message is for the user."""

    exit_code = 2


class ClusterError(Exception):
    """The cluster failed while it worked; what it had done was handed over."""

    exit_code = 3


def run(
    function: Function, tasks: Mapping[str, Any], scheduler: str = HERE
) -> Iterator[tuple[str, Any]]:
    """Yield name and result of every task, in the order in which they are done.

    `function` and tasks must be picklable unless it is `here` or `threads`. Raises SchedulerError if
    there is no such scheduler, ClusterError if it fails, and what the function raises.
    """
    if scheduler == HERE:
        return ((name, function(task)) for name, task in tasks.items())
    try:
        import dask  # noqa: F401
    except ImportError:
        raise SchedulerError(_absent(scheduler, "dask")) from None
    if scheduler in LOCAL:
        return _local(function, tasks, scheduler)
    return _cluster(function, tasks, scheduler)


def in_processes(
    function: Function, tasks: Mapping[str, Any], jobs: int
) -> Iterator[tuple[str, Any]]:
    """Yield name and result of every task, done by so many processes; by this one if `jobs` is 1."""
    if jobs == 1:
        yield from ((name, function(task)) for name, task in tasks.items())
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks) or 1), context, initializer=_ignore_sigint) as pool:
        names = {pool.submit(function, task): name for name, task in tasks.items()}
        try:
            for future in as_completed(names):
                yield names[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_sigint() -> None:
    """Leave Ctrl-C to the process that hands out tasks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _absent(scheduler: str, package: str) -> str:
    return (
        f"--scheduler {scheduler}: the package {package} is not installed: pip install "
        "'pocwatch[cluster]', or leave the option out"
    )


def _local(function: Function, tasks: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """Yield what Dask does in a pool of its own, a few tasks a CPU at a time."""
    import multiprocessing
    from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

    import dask

    cpus = os.cpu_count() or 1
    names = list(tasks)
    pool: Executor = (
        ThreadPoolExecutor(cpus)
        if kind == "threads"
        else ProcessPoolExecutor(cpus, multiprocessing.get_context("spawn"))
    )
    with pool:
        for first in range(0, len(names), _AT_ONCE * cpus):
            part = names[first : first + _AT_ONCE * cpus]
            delayed = [dask.delayed(function, pure=False)(tasks[name]) for name in part]
            yield from zip(part, dask.compute(*delayed, scheduler=kind, pool=pool), strict=True)


def _cluster(function: Function, tasks: Mapping[str, Any], address: str) -> Iterator[tuple[str, Any]]:
    try:
        from concurrent.futures import CancelledError

        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise SchedulerError(_absent(address, "distributed")) from None
    if not address.removeprefix("tcp://").removeprefix("tls://").rpartition(":")[2].isdigit():
        raise SchedulerError(
            f"--scheduler is {address!r}: accepted are {', '.join(LOCAL)}, or the address of a Dask "
            "scheduler, as in tcp://host:8786"
        )
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SchedulerError(
            f"--scheduler {address}: no Dask scheduler answers there: {reason}"
        ) from None
    with client:
        names = {client.submit(function, task, pure=False): name for name, task in tasks.items()}
        try:
            done = as_completed(list(names), with_results=True, loop=client.loop)
            for future, result in done:
                yield names[future], result
        except (KilledWorker, CancelledError) as error:
            reason = (str(error) or "it went away").splitlines()[0]
            raise ClusterError(f"--scheduler {address}: {reason}") from None

