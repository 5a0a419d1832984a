"""`fit`: a formula and data in, a diagnosed posterior out."""

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from causalbias.arguments import mapping_in, name_in, need_formula, need_rows, not_what
from causalbias.errors import DataError, user_path
from causalbias.io.storage import open as load_tree
from causalbias.io.storage import save
from causalbias.models.engines import Sampled, Sampling, sample
from causalbias.models.families import FAMILIES
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parse import check_condition, formula_columns
from causalbias.models.result import OBS, Fit, pack_frame
from causalbias.models.sizes import check_fit_size
from causalbias.models.specification import (
    ModelSpec,
    model_frame,
    row_counts,
)
from causalbias.study.frames import to_frame
from causalbias.study.tables import with_index

FORMAT_VERSION = 1
VERSIONED = (
    "causalbias",
    "bambi",
    "formulae",
    "pymc",
    "nutpie",
    "arviz-stats",
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "xarray",
)
LABELS = ("dataset", "system", "question")  # columns that say what rows are of
RESPONSES = {"distance": "machine", "score": "human"}


def fit(
    formula: str,
    data: xr.DataTree | pd.DataFrame,
    *,
    family: str = "gaussian",
    link: str | None = None,
    priors: Mapping[str, str] | None = None,
    subset: str | None = None,
    counts: str | None = None,
    weights: str | None = None,
    method: str = "auto",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int = 0,
    file: str | Path | None = None,
) -> Fit:
    """Fit a Bayesian hierarchical regression.

    Parameters
    ----------
    formula : str
        As in lme4, brms and bambi: ``"score ~ race*gender + pose + (1|annotator) + (pose|seed)"``.
    data : study or DataFrame
        Of a study, the response says which part: `distance` its machine side, `score` its human
        side (see `to_frame` for the columns).
    family : {"gaussian", "bernoulli", "binomial", "cumulative", "beta"}
        binomial takes ``p(successes, trials)`` as response; cumulative, ordered whole numbers.
    link : str, optional
        By default the family's: identity, logit; cumulative: logit.
    priors : dict of str to str, optional
        By term, e.g. ``{"pose": "Normal(0, 5)", "1|seed": "HalfNormal(10)"}``; for a group term
        the prior of its standard deviation. Terms left out get bambi's defaults, weakly
        informative and scaled to the data; thresholds, the scale of an intercept.
    subset : str, optional
        Condition on the columns that rows must meet: ``"same_identity and level_a == 0"``.
    counts : str, optional
        Column of whole numbers: a row stands for that many equal observations, as if it were
        written that often (brms' ``weights``). Default priors are scaled to the rows as given.
    weights : str, optional
        Column of positive numbers w, Gaussian only: a row's variance is ``sigma^2 / w``, as with
        lme4's ``weights``. For means of n observations give n here, and not as counts: a mean
        tells nothing of the spread about it.
    method : {"auto", "collapsed", "laplace", "nuts"}
        collapsed: exact, for Gaussian models with Normal priors on the coefficients. laplace: for
        ordinal and binary ones (logit or probit), exact but for the weights' spread, which is
        diagnosed. Neither runs a Markov chain. nuts: any model, by nutpie. auto: the first of
        these that applies and whose weights pass; the summary says which ran and why.
    draws, tune, chains : int
        Draws kept and warm-up draws (of NUTS), of each chain.
    random_seed : int
        Seed of the random numbers; the same seed gives the same draws.
    file : path, optional
        Where to save the fit (``.nc`` or ``.zarr``). If it is there already and was made from the
        same rows in the same way by the same versions, it is read instead of fitted again.

    Returns
    -------
    Fit
        Posterior under bambi's names, with its diagnostics. Printing it gives a summary; one
        that did not converge says so there and wherever it is used.

    Raises
    ------
    DataError
        If formula, subset or priors cannot be read, name a column or term that is not there, call
        a function that is not listed, or the data have missing values or are not of the family.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> cb.summary(fit)["kind"].to_dict()["level"]
    'population'
    """
    need_formula(formula)
    need_rows(data)
    name_in(family, "family", *FAMILIES)
    if subset is not None and not isinstance(subset, str):
        raise not_what(subset, "a condition on rows, as text")
    example = 'a prior by term: {"race": "Normal(0, 1)"}'
    mapping_in({} if priors is None else priors, "priors", example)
    spec = ModelSpec(formula, family, link, dict(priors or {}), counts, weights)
    frame = frame_for(formula, data)
    kept = rows_of(frame, subset)
    used = model_frame(spec, kept)
    record = {
        "spec": spec.to_json(),
        "data_sha256": _hash(used),
        "subset": subset or "",
        "n_rows": len(used),
        "n_observations": int(row_counts(spec, used).sum()),
        "n_excluded": len(frame) - len(kept),
        "rows_of": json.dumps(_rows_of_one(data, kept)),
        "kinds": ",".join(_kinds(kept)),
        "sampling": json.dumps([method, draws, tune, chains]),
        "random_seed": random_seed,
        "versions": json.dumps({name: importlib.metadata.version(name) for name in VERSIONED}),
    }
    if file is not None and (saved := _saved(user_path(file), record)) is not None:
        return saved
    started = time.perf_counter()
    settings = Sampling(draws, tune, chains, random_seed)
    check_fit_size(formula, used, settings.total)
    model = ModelDesign.of(spec, used)
    sampled = sample(model, method, settings)
    result = _assemble(sampled, used, model.response.column)
    result.attrs |= record | {
        "groups": json.dumps({one.factor: len(one.levels) for one in model.groups}),
        "left_out": json.dumps(model.estimable.left_out),
        "by_prior": json.dumps(model.estimable.by_prior),
        "seconds": time.perf_counter() - started,
    }
    if file is not None:
        save(result, file)
    return result


def _kinds(kept: pd.DataFrame) -> list[str]:
    """Which kinds of pairs rows are of, known to the formula or not; none where not of pairs."""
    if "same_identity" not in kept:
        return []
    same = set(kept["same_identity"].dropna().astype(bool))
    return [name for name, kind in (("genuine", True), ("impostor", False)) if kind in same]


def _assemble(sampled: Sampled, used: pd.DataFrame, response: str) -> Fit:
    packed = pack_frame(used)
    groups = {
        "posterior": sampled.posterior,
        "sample_stats": sampled.sample_stats,
        "observed_data": packed[[response]],
        "constant_data": packed,
        "diagnostics": sampled.diagnostics,
    }
    if sampled.thinned is not None:
        groups["thinned"] = sampled.thinned
    result = Fit(children={name: xr.DataTree(_portable(ds)) for name, ds in groups.items()})
    result.attrs = {
        "kind": "fit",
        "causalbias_format": FORMAT_VERSION,
        "engine": sampled.engine,
        "failures": json.dumps(sampled.failures()),
        "notes": json.dumps(sampled.notes),
    }
    return result


def _saved(file: Path, record: Mapping[str, object]) -> Fit | None:
    """The fit in a file, if it is there and was made from the same rows in the same way."""
    if not file.exists():
        return None
    try:
        found = load_tree(file)
    except DataError as error:
        raise DataError(
            error.problem, hint="delete it, and the model is fitted again", file=str(file)
        ) from error
    same = all(found.attrs.get(key) == value for key, value in record.items())
    return found if same and isinstance(found, Fit) else None


def _rows_of_one(data: xr.DataTree | pd.DataFrame, kept: pd.DataFrame) -> dict[str, str]:
    """The data set, network and question of the rows, where they are of one: a fit's name."""
    found = {}
    if isinstance(data, xr.DataTree) and "name" in data.attrs:
        found["dataset"] = str(data.attrs["name"])
    for name in LABELS:
        if name in kept and kept[name].notna().all() and kept[name].nunique() == 1:
            found[name] = str(kept[name].iloc[0])
    return found


def rows_of(frame: pd.DataFrame, subset: str | None) -> pd.DataFrame:
    """The rows of a frame that meet a condition.

    Raises
    ------
    DataError
        If the condition cannot be read, names a column that is not there, or no row meets it.
    """
    if subset is None:
        return frame
    for name in check_condition(subset):
        if name not in frame:
            raise DataError(
                f"the subset uses {name!r}, but the data have only {', '.join(map(str, frame))}",
                hint="correct the name",
                column=name,
            )
    try:
        holds = frame.eval(subset, engine="python")
    except Exception as error:  # pandas raises nearly anything
        raise DataError(
            f"cannot compare as {subset!r} says ({error})",
            hint="compare numbers with numbers, and text with quoted text",
        ) from error
    if not (isinstance(holds, pd.Series) and pd.api.types.is_bool_dtype(holds)):
        raise DataError(
            f"the subset {subset!r} is not true or false of each row",
            hint="write it as column == 'value' and other > 0",
        )
    kept = frame[holds.fillna(False).astype(bool)]
    if kept.empty:
        raise DataError(f"no row meets {subset!r}", hint="loosen the condition")
    return kept


def frame_for(formula: str, data: xr.DataTree | pd.DataFrame) -> pd.DataFrame:
    """The rows that a formula is about: of a study, its machine or its human side.

    Raises
    ------
    DataError
        If a study has no such response, or a frame has columns of several levels.
    """
    if isinstance(data, pd.DataFrame):
        if isinstance(data.columns, pd.MultiIndex):
            raise DataError(
                "the columns have several levels of names",
                hint='join them: frame.columns = ["_".join(map(str, c)) for c in frame.columns]',
            )
        return with_index(data, "data")
    response = formula_columns(formula)[0]
    if response not in RESPONSES:
        raise DataError(
            f"a study has no response {response!r}",
            hint="use distance or score, or give a frame (see to_frame)",
        )
    return to_frame(data, RESPONSES[response])


def _hash(used: pd.DataFrame) -> str:
    """Of names, dtypes, values, and levels with their order: of all that the model depends on."""
    digest = hashlib.sha256()
    for name, values in used.items():
        kind: object = values.dtype
        if isinstance(kind, pd.CategoricalDtype):
            kind = ["factor", bool(kind.ordered), kind.categories.tolist()]
        digest.update(json.dumps([str(name), kind], default=str).encode("utf-8", "surrogatepass"))
        plain = values.cat.codes if hasattr(values, "cat") else values
        digest.update(pd.util.hash_pandas_object(plain, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _portable(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset without what files cannot hold or that changes from run to run."""
    for name, coord in dataset.coords.items():
        if coord.dtype == object:
            dataset = dataset.assign_coords({name: coord.astype(str)})
    dataset.attrs = {}
    return dataset.transpose("chain", "draw", OBS, ..., missing_dims="ignore")
