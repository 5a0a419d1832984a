"""Run tasks on the scheduler of dask that is set, if there is one."""

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from typing import Any

from threadpoolctl import threadpool_limits

# Tasks that are given out at first, and seconds below which the next portion is twice as large.
# Each portion begins with a pool of new processes, if that is the scheduler.
FIRST, LEAST = 32, 5.0


def scheduled() -> bool:
    """Return whether a scheduler of dask is set, by a ``Client`` or ``dask.config.set``."""
    dask = sys.modules.get("dask")  # who has set one has imported it
    return dask is not None and dask.config.get("scheduler", None) is not None


def map_tasks[Result](
    work: Callable[..., Result], tasks: Sequence[Callable[[], tuple[Any, ...]]], most: int
) -> Generator[Result, None, None]:
    """Apply a function on dask's scheduler, and yield the results in the order of the tasks.

    Tasks are given out in portions, which are doubled until they take some seconds, so that any
    number of workers is kept busy, and at most `most` results are in memory at once. Linear algebra
    has one thread a task, since tasks run in parallel.

    Parameters
    ----------
    work : callable
    tasks : sequence of callable
        Functions that return the arguments of `work`, called when the task is given out. Dask
        arrays among the arguments arrive as NumPy arrays.
    most : int
        Tasks in a portion at most.

    Examples
    --------
    >>> list(map_tasks(pow, [lambda: (2, 3), lambda: (3, 2)], most=8))
    [8, 9]
    """
    from dask.base import compute
    from dask.delayed import delayed

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


def _in_one_thread[Result](client: int, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do a task; in the client's own process the number of threads is limited already."""
    with nullcontext() if os.getpid() == client else threadpool_limits(1):
        return work(*arguments)
