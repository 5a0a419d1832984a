"""Check that data fit into memory before they are made or read."""

import os
from collections.abc import Iterator
from pathlib import Path

from causalbias.errors import DataError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CGROUP = Path("/sys/fs/cgroup")
TEXT_TIMES = 10  # ratio of the memory that CSV and JSON files take to their size on disk
CHUNK_BYTES = 64 * 2**20  # size in bytes of an array that is worked on part by part
MAX_UNPACKED = 2 * 1024**3  # largest size in bytes of an archive that is unpacked into memory


def check_memory(numbers: float, what: str, hint: str, *, each: int = 8) -> None:
    """Raise an error if numbers would need more memory than is free.

    Parameters
    ----------
    numbers : float
        How many numbers are held in memory at once. It is a float because a product of sizes may
        exceed the range of 64-bit integers.
    what : str
        Description of the numbers, which begins the error message.
    hint : str
        What the user can do, for the error message.
    each : int
        Bytes per number.

    Raises
    ------
    DataError
        If memory does not suffice. The message states both amounts in GiB.

    Examples
    --------
    >>> check_memory(1e15, "10,000,000 rows times 100,000,000 draws", "ask for fewer draws")
    Traceback (most recent call last):
    causalbias.errors.DataError: 10,000,000 rows times 100,000,000 draws would take 7,451,000 GiB...
    """
    needed, free = float(numbers) * each, available()
    if needed > free:
        raise DataError(
            f"{what} would take {_gib(needed)} GiB of memory, and {_gib(free)} GiB are free",
            hint=hint,
        )


def check_file(path: Path, *, times: int = TEXT_TIMES) -> None:
    """Raise an error if a file would not fit into memory, before it is opened.

    Parameters
    ----------
    path : Path
        File to be read.
    times : int
        Bytes of memory per byte on disk.

    Raises
    ------
    DataError
        If memory does not suffice. The message states the file's size and the memory needed.
    OSError
        If the file does not exist.
    """
    size = path.stat().st_size
    check_memory(
        size,
        f"{path.name!r}, of {size:,} bytes on disk and about {times} times as many when read,",
        "check that it is the right file, or split it",
        each=times,
    )


def _gib(size: float) -> str:
    """Format a size in GiB with few digits, as it is an estimate."""
    gib = size / 2**30
    return f"{float(f'{gib:.4g}'):,.0f}" if gib >= 100 else f"{gib:.2g}"


def available() -> float:
    """Return the bytes that this process may still allocate.

    This is the least of the machine's free memory, the rest of the control group's limit, and the
    rest of the process's own limit.
    """
    return max(0.0, min(_machine(), _container(), _limits()))


def _machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, AttributeError, ValueError):  # unknown: the allocator has to refuse
        return float("inf")


def _container() -> float:
    """Return the bytes that remain of the limit of a control group (version 2)."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        return float("inf") if limit == "max" else float(int(limit) - used)
    except (OSError, ValueError):
        return float("inf")


def _limits() -> float:
    """Return the bytes that remain of the limit set by ``ulimit -v``."""
    if resource is None:
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return float("inf")
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        pages = 0
    return float(soft - pages * os.sysconf("SC_PAGE_SIZE"))


def chunks(draws: int, bytes_per_draw: int) -> Iterator[slice]:
    """Cut draws into slices whose arrays stay near 64 MiB.

    Examples
    --------
    >>> [one.stop - one.start for one in chunks(5, 30 * 2**20)]
    [2, 2, 1]
    """
    size = max(1, CHUNK_BYTES // max(1, bytes_per_draw))
    for start in range(0, draws, size):
        yield slice(start, min(start + size, draws))
