"""Work in threads beside the network: results in order, and detectors for one thread at a time."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from causalbias.errors import DataError, shown


def number_of_workers(given: int | None, most: int | None = None) -> int:
    """Return the number of threads: as given, or by default one per core, at most `most`.

    Raises
    ------
    DataError
        If it is no whole number from 1.

    Examples
    --------
    >>> number_of_workers(3)
    3
    """
    if given is None:
        cores = os.cpu_count() or 1
        return cores if most is None else min(cores, most)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise DataError(f"{shown(given)} workers", hint="give one or more, or leave it out")
    return given


def in_order[Item, Result](
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Apply a function to items in threads, and yield the results in the order of the items.

    At most `ahead` results are ready or in work beyond the one that is yielded. An error is raised
    in its turn, so that the results before it are yielded first. When the iterator is closed, work
    that has not begun is dropped. With one worker everything is done in the calling thread.

    Examples
    --------
    >>> list(in_order(abs, [-3, 1, -2], workers=2, ahead=4))
    [3, 1, 2]
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def lent[Made](make: Callable[[], Made]) -> Callable[[], AbstractContextManager[Made]]:
    """Lend what a function makes to one thread at a time; make another if all are lent.

    Detectors hold the image that they search, so that two threads cannot use the same. To make one
    takes as long as to search many images, so that they are kept.

    Examples
    --------
    >>> tools = lent(list)
    >>> with tools() as first, tools() as second:
    ...     first is second
    False
    """
    idle: list[Made] = []
    taking = threading.Lock()

    @contextmanager
    def lend() -> Iterator[Made]:
        with taking:  # one is made at a time: who waits may find one that was given back
            one = idle.pop() if idle else make()
        try:
            yield one
        finally:
            idle.append(one)

    return lend
