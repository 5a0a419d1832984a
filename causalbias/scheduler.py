"""Run independent tasks on the scheduler of dask that is set, if there is one.

A task is a function of its arguments alone, random seed included, so that results do not depend on
where and in which order tasks run, and one whose worker died is run again by another.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from threadpoolctl import threadpool_limits

# Tasks that are given out at first, and seconds below which the next portion is twice as large.
# Each portion begins with a pool of new processes, if that is the scheduler.
FIRST, LEAST = 32, 5.0
MANY = 1024  # jobs that are given out at once at most, with their data

type Task = Callable[[], tuple[Any, ...]]

# A task that waited for tasks of its own would hold the worker that these need.
_in_task: ContextVar[bool] = ContextVar("in_task", default=False)


def scheduled() -> bool:
    """Return whether a scheduler of dask is set, by a ``Client`` or ``dask.config.set``.

    Within a task there is none.
    """
    dask = sys.modules.get("dask")  # who has set one has imported it
    is_set = dask is not None and dask.config.get("scheduler", None) is not None
    return is_set and not _in_task.get()


@contextmanager
def without_cluster() -> Iterator[None]:
    """Let dask work in this process while it writes a file in memory.

    Beside a ``Client``, and on a worker, xarray would ask the cluster for a lock named by the file,
    and a file in memory has no name.
    """
    if "distributed" not in sys.modules:
        yield
        return
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


def map_jobs[Result](
    work: Callable[..., Result], jobs: Sequence[Task]
) -> Generator[Result, None, None]:
    """Apply a function to jobs of seconds each, such as fits, and yield the results in order.

    They run on the scheduler of dask that is set; else here, one after another.

    Parameters
    ----------
    work : callable
    jobs : sequence of callable
        Functions that return the arguments of `work`. They are called here and in order, some
        before the results of those before them are known, so that they may draw random numbers.

    Examples
    --------
    >>> list(map_jobs(pow, [lambda: (2, 3), lambda: (3, 2)]))
    [8, 9]
    """
    if scheduled():
        yield from map_tasks(work, jobs, MANY)
    else:
        for job in jobs:
            yield work(*job())


def map_tasks[Result](
    work: Callable[..., Result], tasks: Sequence[Task], most: int
) -> Generator[Result, None, None]:
    """Apply a function on dask's scheduler, and yield the results in the order of the tasks.

    At most `most` tasks are given out and not yet yielded. To a ``Client`` the next is given when
    the first is done. Other schedulers take portions, which are doubled until they take some
    seconds, so that any number of workers is kept busy. Linear algebra has one thread a task, since
    tasks run in parallel.

    Parameters
    ----------
    work : callable
    tasks : sequence of callable
        Functions that return the arguments of `work`, called when the task is given out. Dask
        arrays among the arguments arrive as NumPy arrays.
    most : int

    Examples
    --------
    >>> list(map_tasks(pow, [lambda: (2, 3), lambda: (3, 2)], most=8))
    [8, 9]
    """
    from dask.base import compute
    from dask.delayed import delayed

    client = _client()
    if client is not None:
        yield from _on_client(client, work, tasks, most)
        return
    task_of = delayed(_in_one_thread, pure=False)
    portion, start = min(most, FIRST), 0
    while start < len(tasks):
        began = time.monotonic()
        now = tasks[start : start + portion]
        with threadpool_limits(1):
            found = compute(  # type: ignore[no-untyped-call]
                *[task_of(os.getpid(), work, *task()) for task in now]
            )
        yield from found
        start += len(now)
        if time.monotonic() - began < LEAST:
            portion = min(most, 2 * portion)


def _client() -> Any:
    """Return the client of a cluster that is set as the scheduler, or None."""
    import dask

    chosen = dask.config.get("scheduler", None)
    if chosen in ("dask.distributed", "distributed"):
        from dask.distributed import default_client

        return default_client()
    return chosen if hasattr(chosen, "nthreads") else None


def _on_client[Result](
    client: Any, work: Callable[..., Result], tasks: Sequence[Task], most: int
) -> Generator[Result, None, None]:
    """Apply a function on the workers of a cluster, which are kept supplied with tasks."""
    import dask
    from dask.delayed import delayed

    task_of = delayed(_in_one_thread, pure=False)
    given: deque[Any] = deque()
    for task in tasks:
        # Workers come and go: twice as many tasks as threads that there are now.
        while len(given) >= min(most, max(FIRST, 2 * sum(client.nthreads().values()))):
            yield given.popleft().result()
        # Arguments are part of the task, and not held by a worker, which may die.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            given.append(client.compute(task_of(os.getpid(), work, *task())))
    while given:
        yield given.popleft().result()


def _in_one_thread[Result](client: int, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do a task; in the client's own process the number of threads is limited already."""
    token = _in_task.set(True)
    try:
        with nullcontext() if os.getpid() == client else threadpool_limits(1):
            return work(*arguments)
    finally:
        _in_task.reset(token)
