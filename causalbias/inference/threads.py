"""One thread of linear algebra: matrices here are small, and chains and draws run in parallel."""

from contextlib import AbstractContextManager
from functools import cache

import scipy.linalg  # noqa: F401  (has a library of its own, beside NumPy's)
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """A context in which libraries of linear algebra use one thread.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    # Found once: to look through all that a process has loaded takes 4 ms, a tenth of a short fit.
    return ThreadpoolController()
