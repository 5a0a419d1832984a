"""The mark of a fit that failed its diagnostics, on whatever was computed from it."""

import json

import pandas as pd
import xarray as xr

from causalbias.draws.basis import FAILURES, UNCONVERGED, stated, without_basis

NOT = "no"  # of a variable's attribute `converged`; variables of other fits have none
UNNAMED = "a fit behind these draws failed its diagnostics"

type Drawn = xr.Dataset | xr.DataArray | pd.DataFrame | xr.DataTree


def mark(*sources: Drawn) -> str:
    """The failed diagnostics of fits, or of what was computed from them, as JSON of a list.

    Examples
    --------
    >>> good, bad, worse = (
    ...     xr.Dataset(attrs={"failures": text}) for text in ("[]", '["R-hat"]', '["ESS", "R-hat"]')
    ... )
    >>> mark(good, bad, worse)
    '["R-hat", "ESS"]'
    """
    said = [
        json.loads(part.attrs.get("failures", "[]"))
        for source in sources
        for part in (source, *_variables(source), *_coordinate(source))
    ]
    said += [json.loads(one) for source in sources for one in _of_cells(source)]
    reasons = dict.fromkeys(reason for each in said for reason in each)
    if not reasons and any(map(failed, sources)):
        return json.dumps([UNNAMED])
    return json.dumps(list(reasons))


def marked(found: xr.Dataset, *sources: Drawn) -> xr.Dataset:
    """A Dataset that says, as does each of its variables, if a fit behind it failed.

    Variables of failed fits carry the reasons and the attribute ``converged="no"``, which is the
    same for all: xarray's arithmetic keeps attributes that one side has or both agree on, so that
    a difference of two networks' effects keeps the mark. `estimate` calls this; call it yourself
    for a Dataset that holds no draws.

    Examples
    --------
    >>> bad = xr.Dataset(attrs={"failures": '["R-hat"]'})
    >>> failed(2 * marked(xr.Dataset({"effect": 1.0}), bad)["effect"])
    True
    """
    failures = mark(*sources)
    found = found.assign_attrs(failures=failures)
    if failures != "[]":
        for name in found.data_vars:
            values = found.variables[name].copy(deep=False)
            values.attrs = values.attrs | {"failures": failures, "converged": NOT}
            found[name] = values
    return found


def failed(source: Drawn) -> bool:
    """Whether a fit behind these draws failed its diagnostics."""
    return (
        source.attrs.get("failures", "[]") != "[]"
        or any(part.attrs.get("converged") == NOT for part in (source, *_variables(source)))
        or any(one != "[]" for one in _of_cells(source))
        or bool(_coordinate(source))
    )


def alone(found: xr.DataArray, whole: xr.Dataset) -> xr.DataArray:
    """A variable taken out of an estimate, with a coordinate that says if a fit behind it failed.

    Attributes would be lost where it is put together with others: `xarray.concat` keeps those of
    the first. What each cell rests on is left out, as in a Dataset of two estimates' variables
    these would conflict.

    Examples
    --------
    >>> good = xr.Dataset({"effect": ("draw", [0.0])})
    >>> bad = marked(good.copy(), xr.Dataset(attrs={"failures": '["R-hat"]'}))
    >>> both = xr.concat([alone(one["effect"], one) for one in (good, bad)], "model")
    >>> mark(both)
    '["R-hat"]'
    """
    plain = without_basis(found)
    if not failed(whole):
        return plain
    said = xr.Variable((), True, {"failures": mark(whole)})
    return plain.assign_coords({UNCONVERGED: said})


def _coordinate(source: Drawn) -> list[xr.DataArray]:
    """The coordinate of a variable of a failed fit, or of what was made of it."""
    known = isinstance(source, xr.Dataset | xr.DataArray) and UNCONVERGED in source.coords
    return [source.coords[UNCONVERGED]] if known else []


def _of_cells(source: Drawn) -> list[str]:
    """Failed diagnostics behind each cell of estimates that were put together."""
    known = stated(source) if isinstance(source, xr.Dataset) else []
    return [one.get(FAILURES, "[]") for one in known]


def _variables(source: Drawn) -> list[xr.Variable]:
    if not isinstance(source, xr.Dataset):
        return []
    return [source.variables[name] for name in source.data_vars]
