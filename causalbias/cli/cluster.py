"""Workers of a dask cluster that a command uses."""

from collections.abc import Iterator
from contextlib import contextmanager

from causalbias.errors import DataError


@contextmanager
def workers_at(address: str | None) -> Iterator[None]:
    """Give what runs within to the workers of a dask scheduler; None: to this machine.

    Raises
    ------
    DataError
        If there is no scheduler at the address, or dask is not installed.
    """
    if address is None:
        yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise DataError(
            f"--scheduler needs dask ({error})", hint="pip install 'causalbias[scale]'"
        ) from error
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise DataError(
            f"no scheduler of dask answers at {address!r} ({error})",
            hint="start one by 'dask scheduler', and 'dask worker ADDRESS' on each machine",
        ) from error
    with client:
        yield
