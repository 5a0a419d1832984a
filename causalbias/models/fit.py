"""`fit`: fit a model of a formula to data, with diagnostics."""

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import name_in, need_rows, not_what
from causalbias.errors import DataError, user_path
from causalbias.io.storage import open as load_tree
from causalbias.io.storage import save
from causalbias.models.engines import Sampled, Sampling, sample
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parts import Formula
from causalbias.models.groupings import grouping_columns
from causalbias.models.result import OBS, OTHERS, Fit, pack_frame
from causalbias.models.rows import frame_for, kinds_of, rows_of, source_of
from causalbias.models.sizes import check_fit_size
from causalbias.models.specification import (
    ModelSpec,
    model_frame,
    number_of_rows,
    row_counts,
    specify,
    without_missing,
)
from causalbias.models.summaries.gather import gathered
from causalbias.models.summaries.tree import RowSummary, manifest_of, rows_for
from causalbias.models.summaries.uses import check_summable

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
MISSING = ("refuse", "drop")


def fit(
    formula: str | Formula | Sequence[str],
    data: Any,
    *,
    family: str = "gaussian",
    link: str | None = None,
    priors: Mapping[str, str] | None = None,
    subset: str | None = None,
    missing: str = "refuse",
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
    formula : str, Formula or list of str
        Formula as in lme4, brms and bambi, such as ``"score ~ race*gender + pose + (1|annotator) +
        (pose|seed)"``. If further parameters differ between rows, what `cb.formula` returns, or a
        list of texts, ``["distance ~ race", "sigma ~ system"]``. Of a response that some rows have
        as a limit only, ``"score | cens(status) ~ race"``, `status` being none, left or right, or
        0, -1 and 1 (unlike an indicator of events, of which 1 is a row that was observed). The page
        on formulas has the whole language.
    data : Study, DataFrame, dask DataFrame, path, RowSummary or list of them
        If a study is given, the response determines the group: `distance` is modelled on
        "machine", and `score` on "human" (see `to_frame` for the columns). Gaussian models, and
        those of answers and counts, are fitted to data of any size: a dask DataFrame, a study of
        ``cb.open(path, lazy=True)``, or the path of a Parquet file, of a directory of such files
        or a pattern. These are read in pieces and summed up, or equal rows counted. What
        `summarise_rows` returned, the path of its file (``.nc``, ``.zarr``) or a list of several
        is fitted as the rows that were summed up. See :doc:`/scale`.
    family : {"gaussian", "bernoulli", "binomial", "cumulative", "sratio", "acat", "categorical", \
"t", "laplace", "asymmetriclaplace", "skew_normal", "exgaussian", "lognormal", "gamma", "weibull", \
"exponential", "wald", "hurdle_gamma", "hurdle_lognormal", "poisson", "negativebinomial", \
"zero_inflated_poisson", "zero_inflated_negativebinomial", "hurdle_poisson", \
"hurdle_negativebinomial", "beta_binomial", "zero_inflated_binomial", "zero_one_inflated_beta", \
"ordered_beta", "beta", "vonmises"}
        Response family. The response of "binomial" is ``p(successes, trials)``, and that of
        "cumulative", "sratio" and "acat" has ordered whole numbers; that of "categorical" has
        categories in no order. See :doc:`/explanation/families`.
    link : str, optional
        Link function; by default the first of the family's links, such as identity for "gaussian"
        and logit for "bernoulli".
    priors : dict of str to str, optional
        Priors by term, such as ``{"pose": "Normal(0, 5)", "1|seed": "HalfNormal(10)"}``. The prior
        of a group term is that of its standard deviation, and ``"b"`` is that of all coefficients
        without one of their own, such as ``{"b": "Horseshoe(1)"}`` or ``{"b": "R2D2()"}`` for many
        of which few matter. Other terms have the weakly informative
        default priors of bambi, which are scaled to the data; the default prior of thresholds has
        the scale of that of an intercept. Terms of a parameter's own formula have its name before
        theirs, ``{"sigma_race": "Normal(0, 0.5)", "sigma_1|seed": "HalfNormal(0.3)"}``. Their
        defaults are those of the mean of an outcome with a standard deviation of one: Normal with
        sd 2.5 for the intercept at the mean of the columns, about the log of the response's
        standard deviation for sigma, and with sd 2.5 / sd of its column for a slope.
    subset : str, optional
        Condition on the columns that rows must meet, such as ``"same_identity and level_a == 0"``.
    missing : {"refuse", "drop"}
        What becomes of rows with a missing value in a column of the model: an error that names
        one, or they are left out as R does, and counted by column in the fit's summary. That is
        right if what is missing does not depend on the outcome given the columns that are there.
    counts : str, optional
        Column of whole numbers: the number of equal observations for which a row stands, as if
        the row were repeated (the ``weights`` of brms). Default priors, and what ``scale()``,
        ``poly()`` and ``bs()`` take from the rows, are of the rows as given.
    weights : str, optional
        Column of positive numbers w, for Gaussian models: the variance of a row is ``sigma^2 / w``,
        as with the ``weights`` of lme4. For means of n observations, give n as weights, not as
        counts, because a mean has no information on the variation within.
    method : {"auto", "collapsed", "laplace", "nuts"}
        "collapsed" is exact, for Gaussian models with Normal priors on the coefficients. "laplace"
        is for ordinal and binary models (logit or probit) and for "t", "gamma", "beta",
        "skew_normal", "beta_binomial" and counts with their default links; it corrects the Laplace
        approximation by importance weights, which are diagnosed. Neither runs a Markov chain.
        "nuts" is for all models, by nutpie. "auto" uses the first of these that applies and passes
        its diagnostics; the summary states which one was used and why.
    draws, tune, chains : int
        Number of draws and of warm-up draws (for NUTS) per chain, and number of chains.
    random_seed : int
        Seed of the random numbers; the same seed gives the same draws.
    file : path, optional
        File of the fit (``.nc`` or ``.zarr``). If it exists and was made from the same rows with
        the same settings and versions, it is read; otherwise the model is fitted and saved there.

    Returns
    -------
    Fit
        Posterior with the names of bambi, and diagnostics. Printing it gives a summary. A fit that
        did not converge is marked there and wherever it is used.

    Raises
    ------
    DataError
        If formula, subset or priors cannot be parsed, contain an unknown column or term, or call a
        function that is not allowed; if the data have missing values or do not fit the family.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> cb.summary(fit)["kind"].to_dict()["level"]
    'population'
    """
    spec = specify(formula, family, link=link, priors=priors, counts=counts, weights=weights)
    settings = Sampling(draws, tune, chains, random_seed)
    summary = gathered(spec, data, subset, missing)
    if summary is not None:
        return fit_sums(spec, summary, method=method, settings=settings, file=file)
    need_rows(data)
    return fit_spec(
        spec, data, subset=subset, missing=missing, method=method, settings=settings, file=file
    )


def fit_sums(
    spec: ModelSpec,
    summary: RowSummary,
    *,
    method: str,
    settings: Sampling,
    file: str | Path | None = None,
) -> Fit:
    """Fit a specification to rows that were summed up; arguments and errors as of `fit`."""
    spec, frame = rows_for(spec, summary)
    manifest, tally = manifest_of(summary), json.loads(summary.attrs["tally"])
    source = {name: texts[0] for name, texts in tally["labels"].items() if len(texts) == 1}
    known = {
        "subset": manifest["subset"],
        "n_excluded": tally["excluded"],
        "missing": json.dumps(tally["missing"]),
        "rows_of": json.dumps({name: text for name, text in source.items() if text}),
        "kinds": ",".join(tally["kinds"]),
        "judges": json.dumps(tally.get("judges", [])),
    }
    return fit_spec(spec, frame, method=method, settings=settings, file=file, known=known)


@cache  # read from files, which takes longer than the rest of a small fit's record
def versions() -> dict[str, str]:
    """Versions of what draws depend on."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


def fit_spec(
    spec: ModelSpec,
    data: xr.DataTree | pd.DataFrame,
    *,
    method: str,
    settings: Sampling,
    subset: str | None = None,
    missing: str = "refuse",
    file: str | Path | None = None,
    known: Mapping[str, Any] = MappingProxyType({}),
) -> Fit:
    """Fit a specification; arguments and errors as of `fit`.

    ``known``: what is recorded of where the rows are from in place of what the frame tells.
    """
    if spec.rows is not None:
        check_summable(spec)
    name_in(missing, "missing", *MISSING)
    if subset is not None and not isinstance(subset, str):
        raise not_what(subset, "a condition on rows, as text")
    frame = frame_for(spec.formula, data)
    met = rows_of(frame, subset)
    kept, lacking = without_missing(spec, met) if missing == "drop" else (met, {})
    used = model_frame(spec, kept)
    others = grouping_columns(kept, set(map(str, used)))
    record = {
        "spec": spec.to_json(),
        "data_sha256": _hash(used),
        "others_sha256": _hash(others),
        "subset": subset or "",
        "n_rows": number_of_rows(spec, used),
        "n_observations": int(row_counts(spec, used).sum()),
        "n_excluded": len(frame) - len(met),
        "missing_rows": missing,
        "missing": json.dumps(lacking),
        "rows_of": json.dumps(source_of(data, kept)),
        "kinds": ",".join(kinds_of(kept)),
        "sampling": json.dumps([method, settings.draws, settings.tune, settings.chains]),
        "random_seed": settings.random_seed,
        "versions": json.dumps(versions()),
    } | dict(known)
    if file is not None and (saved := _saved(user_path(file), record)) is not None:
        return saved
    started = time.perf_counter()
    for one in spec.formulas:
        check_fit_size(one, used, settings.total)
    model = ModelDesign.of(spec, used)
    sampled = sample(model, method, settings)
    result = _assemble(sampled, used, model.response.column)
    if len(others.columns):
        result[OTHERS] = xr.DataTree(_portable(pack_frame(others)))
    result.attrs |= record | {
        "groups": json.dumps(
            {
                one.factor: len(one.levels)
                for own in (model, *model.parts.values())
                for one in own.groups
            }
        ),
        "left_out": json.dumps(_marked(model, "left_out")),
        "by_prior": json.dumps(_marked(model, "by_prior")),
        "seconds": time.perf_counter() - started,
    }
    if file is not None:
        save(result, file)
    return result


def _marked(model: ModelDesign, mark: str) -> list[str]:
    """Coefficients of the mean and of parts that have a mark of `Estimable`."""
    found = list(getattr(model.estimable, mark))
    for name, part in model.parts.items():
        found += [f"{name}_{one}" for one in getattr(part.estimable, mark)]
    return found


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
    """Read the fit in a file, if it exists and was made from the same rows and settings."""
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


def _hash(used: pd.DataFrame) -> str:
    """Hash names, dtypes, values, and levels with their order, on which the model depends."""
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
    """Remove from a dataset what files cannot hold or what changes from run to run."""
    for name, coord in dataset.coords.items():
        if coord.dtype == object:
            dataset = dataset.assign_coords({name: coord.astype(str)})
    dataset.attrs = {}
    return dataset.transpose("chain", "draw", OBS, ..., missing_dims="ignore")
