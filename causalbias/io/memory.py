"""What fits into memory: asked before anything large is made or read."""

import os
from pathlib import Path

from causalbias.errors import DataError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CGROUP = Path("/sys/fs/cgroup")
TEXT_TIMES = 10  # memory that CSV and JSON take beside their size on disk, as numbers and texts
MAX_UNPACKED = 2 * 1024**3  # bytes of an archive that is unpacked whole


def check_memory(numbers: float, what: str, hint: str, *, each: int = 8) -> None:
    """Refuse what would need more memory than there is, before it is made.

    Parameters
    ----------
    numbers : float
        How many numbers are held at once; a float, as a product of sizes may be beyond integers.
    what : str
        What they are, for the message.
    hint : str
    each : int
        Bytes a number.

    Raises
    ------
    DataError
        With both amounts in GiB.

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
    """Refuse a file that memory will not hold once read, before it is opened.

    Parameters
    ----------
    path : Path
    times : int
        Bytes of memory for a byte on disk.

    Raises
    ------
    DataError
        With its size, and what it would take.
    OSError
        If it is not there.
    """
    size = path.stat().st_size
    check_memory(
        size,
        f"{path.name!r}, of {size:,} bytes on disk and about {times} times as many when read,",
        "check that it is the right file, or split it",
        each=times,
    )


def _gib(size: float) -> str:
    """Three digits and no more, as the amount is an estimate."""
    gib = size / 2**30
    return f"{float(f'{gib:.4g}'):,.0f}" if gib >= 100 else f"{gib:.2g}"


def available() -> float:
    """Bytes that this process may still take: of the machine, its container and its own limits."""
    return max(0.0, min(_machine(), _container(), _limits()))


def _machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, AttributeError, ValueError):  # no such account: leave it to the allocator
        return float("inf")


def _container() -> float:
    """What a control group (version 2) leaves."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        return float("inf") if limit == "max" else float(int(limit) - used)
    except (OSError, ValueError):
        return float("inf")


def _limits() -> float:
    """What ``ulimit -v`` leaves."""
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
