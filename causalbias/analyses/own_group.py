"""The own-group contrast of cells by groups of faces and of people."""

import numpy as np
import xarray as xr


def own_group_contrast(cells: xr.DataArray, of_face: str, of_people: str) -> xr.DataArray | None:
    """Mean of the cells in which face and person are of one group, minus the mean of the others.

    Differences between groups of faces, and between groups of people, cancel. Groups that are not
    in both dims are left out; None if fewer than two are.

    Examples
    --------
    >>> cells = xr.DataArray([[3.0, 1.0], [2.0, 4.0]], dims=("face", "people"),
    ...                      coords={"face": ["a", "b"], "people": ["a", "b"]})
    >>> float(own_group_contrast(cells, "face", "people"))
    2.0
    """
    people = cells[of_people].values
    shared = [one for one in cells[of_face].values if one in people]
    if len(shared) < 2:
        return None
    square = cells.sel({of_face: shared, of_people: shared})
    own = xr.DataArray(np.eye(len(shared), dtype=bool), dims=(of_face, of_people))
    both = (of_face, of_people)
    dims = {"skipna": False}
    count = len(shared)
    within = xr.where(own, square, 0.0).sum(both, **dims) / count
    across = xr.where(own, 0.0, square).sum(both, **dims) / (count * (count - 1))
    # A cell without an estimate leaves the contrast without one.
    return (within - across).where(square.notnull().all(both))
