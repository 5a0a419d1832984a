"""Counts of all pairs as data: what `all_pairs` returns and files hold."""

import xarray as xr

from causalbias.errors import DataError

FINISHED, UNFINISHED = "pair counts", "unfinished pair counts"


def opened_counts(tree: xr.DataTree) -> xr.Dataset:
    """Return the counts that a file holds; the reader of `open`.

    Raises
    ------
    DataError
        If the counts are not finished.
    """
    if tree.attrs["kind"] == UNFINISHED:
        done = tree.to_dataset()["done"].values
        raise DataError(
            f"the counts are not finished ({done.mean():.0%} of the pairs were counted)",
            hint="call all_pairs again with the same arguments and this file",
        )
    return tree.to_dataset()
