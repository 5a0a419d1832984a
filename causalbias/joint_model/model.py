"""The joint model of people's scores and a network's distances of the same pairs."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain
from typing import Any

import formulae as fm
import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from causalbias.agreement.counts import first_answers
from causalbias.arguments import generator, mapping_in, names_in, not_what
from causalbias.draws.marks import marked
from causalbias.errors import DataError, at_first
from causalbias.inference.diagnostics import diagnose, verdict
from causalbias.inference.gibbs import BivariateData, sample_bivariate
from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray
from causalbias.io.memory import check_memory
from causalbias.models.formula.contrasts import NAMESPACE
from causalbias.models.formula.parse import building, formula_columns, one_level
from causalbias.models.group_design import check_members, texts_of
from causalbias.models.levels import canonical
from causalbias.models.result import OBS, frame_of, pack_frame
from causalbias.models.rows import rows_of
from causalbias.models.sizes import check_fit_size
from causalbias.models.summary import describe_status, summary
from causalbias.study.columns import check_groups, measured
from causalbias.study.frames import to_frame
from causalbias.study.tables import with_index

OUTCOMES = ("score", "distance")
FILE = "rows"  # names the table in errors
GRAMS = 4  # dense matrices, levels by levels, of a factor: the products, and their eigenvectors
NEEDED = ("score", "answers", "within", "distance")
ALSO = ("pair", "same_identity")  # columns that are kept where there are such
GROUPS = ("posterior", "constant_data", "excluded", "diagnostics")


class Joint(xr.DataTree):
    """A fitted joint model of scores and distances: a DataTree that prints as a fit does.

    `cb.failures`, `cb.summary`, `cb.effects`, `conditional_bias`, `cb.save` and `cb.open` take it.

    Groups: ``posterior``, with ``coefficient`` (chain, draw, term, outcome), ``sd`` (chain, draw,
    source, outcome) and ``correlation`` (chain, draw, source) of the effects of each factor and of
    pairs, and ``noise`` (chain, draw), the standard deviation of a single answer about its pair's
    mean; ``constant_data``, the pairs; ``excluded``, the numbers of pairs that were not used, by
    reason; ``diagnostics``. The attributes record terms, random seed and failed diagnostics.
    """

    __slots__ = ()

    @property
    def rows(self) -> pd.DataFrame:
        """The pairs, with the columns that the model uses."""
        return frame_of(self)

    @property
    def shares(self) -> dict[str, float]:
        """Mean squared weight of a row's members by factor: 1, or a half for two that differ."""
        return dict(json.loads(self.attrs["shares"]))

    @property
    def left_out(self) -> pd.DataFrame:
        """`reason`, `count` of pairs not used."""
        excluded = self["excluded"].to_dataset()
        return pd.DataFrame(
            {"reason": excluded["reason"].values, "count": excluded["count"].values}
        )

    def __repr__(self) -> str:  # type: ignore[override]
        return _described(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(_described(self))}</pre>"


def _described(found: Joint) -> str:
    table = summary(found).drop(columns=["kind", "converged"]).rename_axis(None)
    lines = [
        "  Model: score and distance of the same pairs (Gaussian)",
        f"  Terms: {found.attrs['terms']}; effects of {', '.join(found.shares)} and pair",
        f"   Data: {found['constant_data'].sizes[OBS]:,} pairs",
        f" Engine: gibbs; random seed {int(found.attrs['random_seed'])}",
        f" Status: {describe_status(found)}",
        "",
        table.round(4).to_string(),
    ]
    if failed := json.loads(found.attrs["failures"]):
        lines += ["", "NOT CONVERGED. Do not use these estimates: " + "; ".join(failed) + "."]
    return "\n".join(lines)


def opened_joint(tree: xr.DataTree) -> Joint:
    """A joint model of an opened tree.

    Raises
    ------
    DataError
        If a group or a record is missing or cannot be read, or its terms call what is not listed.
    """
    lacking = [name for name in GROUPS if name not in tree.children]
    if lacking:
        raise DataError(
            f"the joint model lacks {', '.join(lacking)}", hint="fit it again and save it"
        )
    found = _joint({name: node.to_dataset() for name, node in tree.children.items()}, tree.attrs)
    try:
        formula_columns(f"distance ~ {found.attrs['terms']}")
        list(json.loads(found.attrs["failures"])), found.shares, int(found.attrs["random_seed"])
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the joint model's records cannot be read ({error})", hint="fit it again and save it"
        ) from error
    return found


def _joint(groups: Mapping[str, xr.Dataset], attrs: Mapping[Any, Any]) -> Joint:
    children = {name: xr.DataTree(dataset) for name, dataset in groups.items()}
    return Joint(dataset=xr.Dataset(attrs=attrs), children=children)


def joint_rows(study: xr.DataTree, system: str, *, question: str = "identity") -> pd.DataFrame:
    """Make a table of pairs with a system's distance and the mean of people's answers.

    Parameters
    ----------
    study : DataTree
        A study with distances and judgements of pairs.
    system : str
        Name of the system.
    question : str
        The question.

    Returns
    -------
    DataFrame
        The columns of ``to_frame(study, "machine")``, with `score` (mean answer), `answers` (number
        of answers) and `within` (sum of squared deviations from the mean). Values are missing for
        pairs without distance or answers.

    Raises
    ------
    DataError
        If the study has no such system, or no answers to the question about pairs.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> joint_rows(study, "ResNet-34")[["score", "answers", "within"]].shape[1]
    3
    """
    machine, human = to_frame(study, "machine"), to_frame(study, "human")
    systems = machine["system"].unique().tolist()
    if system not in systems:
        raise DataError(f"there is no system {system!r}", hint=f"use one of {', '.join(systems)}")
    asked = first_answers(human[human["question"] == question])
    if "pair" not in asked or not asked["pair"].notna().any():
        raise DataError(
            f"no answers to {question!r} about pairs", hint="name a question asked about pairs"
        )
    of_pair = asked[asked["pair"].notna()].groupby("pair")["score"]
    scores = pd.DataFrame(
        {
            "score": of_pair.mean(),
            "answers": of_pair.size(),
            "within": of_pair.var(ddof=0) * of_pair.size(),
        }
    )
    return machine[machine["system"] == system].join(scores, on="pair").reset_index(drop=True)


def _designs(
    terms: str, used: pd.DataFrame, members: Mapping[str, list[str]]
) -> tuple[Any, dict[str, sparse.csr_matrix]]:
    """The design of the common terms, and the membership of rows in each grouping's levels.

    Raises
    ------
    DataError
        If the terms have an offset, or products of a grouping's levels do not fit into memory.
    """
    with building(f"distance ~ {terms}", used):
        design = fm.design_matrices(f"distance ~ {terms}", used, "error", 0, NAMESPACE).common
    if any(one.kind == "offset" for one in design.terms.values()):
        raise DataError(
            "the terms contain an offset, which would be one of both outcomes",
            hint="subtract it from the outcome that it is of",
        )
    matrices = {name: _membership(used, one) for name, one in members.items()}
    for name, one in matrices.items():
        check_memory(
            GRAMS * float(one.shape[1] + design.design_matrix.shape[1]) ** 2,
            f"products of {one.shape[1]:,} levels of {name!r} with each other",
            "merge levels, or model a part of the rows with subset=",
        )
    return design, matrices


def joint(
    rows: pd.DataFrame,
    terms: str,
    *,
    groups: Mapping[str, str | Sequence[str]],
    subset: str | None = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    random_seed: int = 0,
) -> Joint:
    """Fit a joint model of people's mean scores and a network's distances of the same pairs.

    Both outcomes have the same common terms, and effects of the same seeds and pairs, which are
    correlated between the outcomes. The correlations measure the agreement of people and network
    beyond the manipulated variables. Scores are means of few answers; the model separates the
    effect of a pair from the noise of its answers, so that correlations are not attenuated.

    The model is Gaussian: ordered categories are taken as numbers, and answers as exchangeable
    (annotators' severities are part of the noise, as if pairs were assigned at random).

    Parameters
    ----------
    rows : DataFrame
        Result of `joint_rows`: `score`, `answers`, `within`, `distance` and the columns used.
    terms : str
        Right-hand side of a formula without group terms, such as ``"race*gender + step"``.
    groups : mapping of name to column, or to the columns of both members
        Grouping factors: ``{"seed": "seed"}`` for genuine and ``{"seed": ["seed_a", "seed_b"]}``
        for impostor pairs.
    subset : str, optional
        Condition that rows must meet, as in `fit`.
    draws, tune, chains : int
        Settings of the Gibbs sampler.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    Joint

    Raises
    ------
    DataError
        If a column is missing, genuine and impostor pairs are pooled, no pair has both outcomes,
        the model does not fit into memory, an outcome or a variable of the terms is constant, or no
        pair has two answers (so that the noise is not identified).

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=6, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> rows = cb.joint_model.joint_rows(study, "ResNet-34")
    >>> found = cb.joint(rows, "race", groups={"seed": "seed"}, subset="same_identity", draws=50)
    >>> found.posterior["correlation"].dims, found.posterior["source"].values.tolist()
    (('chain', 'draw', 'source'), ['seed', 'pair'])
    """
    columns = formula_columns(f"distance ~ {terms}")[1]
    if "|" in terms or not groups:
        raise DataError(
            "the terms contain group terms", hint='give them as groups={"seed": "seed"}'
        )
    if not isinstance(rows, pd.DataFrame):
        raise not_what(rows, "a table")
    rows = with_index(rows, FILE)
    members = {
        name: list(names_in(one, f"groups[{name!r}]"))
        for name, one in mapping_in(groups, "groups", '{"seed": "seed"}').items()
    }
    if "pair" in members:
        raise DataError(
            "groups has the name 'pair', which is that of the effects of single pairs",
            hint="leave it out: each pair has an effect of its own",
        )
    for name in (*NEEDED, *columns, *(one for each in members.values() for one in each)):
        if name not in rows:
            raise DataError(
                f"there is no column {name!r}", hint=f"use one of {', '.join(rows.columns)}"
            )
    used, left_out = _usable(
        rows_of(_numbers(rows), subset), columns[1:], [*chain.from_iterable(members.values())]
    )
    check_fit_size(f"distance ~ {terms}", used, 2 * draws * chains)
    design, matrices = _designs(terms, used, members)
    unit = used[list(OUTCOMES)].to_numpy(float).std(axis=0)  # or 1e-8 loses a matrix its digits
    data = BivariateData(
        mean=used["score"].to_numpy(float) / unit[0],
        count=used["answers"].to_numpy(float),
        within=float(used["within"].sum()) / unit[0] ** 2,
        distance=used["distance"].to_numpy(float) / unit[1],
        design=np.asarray(design.design_matrix, float),
        members=list(matrices.values()),
        scale=np.full(2, 2.5),
    )
    found = [
        sample_bivariate(data, draws=draws, tune=tune, rng=rng)
        for rng in generator(random_seed).spawn(chains)
    ]
    every = {name: np.stack([one[name] for one in found]) for name in found[0]}
    every["coefficient"] *= unit
    every["covariance"] *= np.outer(unit, unit)
    every["noise"] *= unit[0]
    labels = [label for term in design.terms.values() for label in _labels(term)]
    posterior = _posterior(every, labels, [*members, "pair"])
    shares = {name: float(one.multiply(one).sum(axis=1).mean()) for name, one in matrices.items()}
    told = diagnose(posterior)
    attrs = {
        "kind": "joint",
        "terms": terms,
        "shares": json.dumps(shares),
        "random_seed": random_seed,
        "failures": json.dumps(verdict(told)),
    }
    kept = dict.fromkeys([*NEEDED, *columns, *chain.from_iterable(members.values()), *ALSO])
    groups_of = {
        "posterior": marked(posterior, xr.Dataset(attrs=attrs)),
        "constant_data": pack_frame(used[[name for name in kept if name in used]]),
        "excluded": _excluded(left_out),
        "diagnostics": told,
    }
    return _joint(groups_of, attrs)


def _numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with outcomes, and what is known of answers, as numbers; missing ones stay so.

    Raises
    ------
    DataError
        If a cell is no number, or none of answers, with its row.
    """
    made = {name: measured(rows[name], file=FILE) for name in NEEDED}
    answered = made["score"].notna()
    for name, hint, bad in (
        *((name, "leave the row out", np.isinf(one)) for name, one in made.items()),
        (
            "answers",
            "give the number of answers that the score is the mean of, 1 or more",
            answered & ~((made["answers"] >= 1) & (made["answers"] % 1 == 0)),
        ),
        (
            "within",
            "give the sum of squares of answers about their mean, 0 of one answer",
            answered & ~(made["within"] >= 0),
        ),
    ):
        if bad.any():
            value = made[name][bad].iloc[0]
            problem = f"{value:g} is none of answers"
            problem = "is missing" if np.isnan(value) else problem
            problem = "is infinite" if np.isinf(value) else problem
            raise at_first(bad.to_numpy(bool), problem, hint=hint, file=FILE, column=name)
    return rows.assign(**made)


def _usable(
    rows: pd.DataFrame, terms: list[str], members: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = [*dict.fromkeys([*terms, *members])]
    rows = rows.assign(**{name: canonical(rows[name]) for name in columns})
    for name in terms:
        if isinstance(rows[name].dtype, pd.CategoricalDtype):
            check_groups(rows[name], file=FILE)
        elif (bad := np.isinf(rows[name].to_numpy(float))).any():
            raise at_first(bad, "is infinite", hint="leave the row out", file=FILE, column=name)
    reasons = {
        "no distance": rows["distance"].isna(),
        "no answers": rows["score"].isna(),
        "a column is missing": rows[columns].isna().any(axis=1),
    }
    kept, counts = pd.Series(True, index=rows.index), {}
    for reason, applies in reasons.items():
        counts[reason] = int((kept & applies).sum())
        kept &= ~applies
    used = rows[kept].reset_index(drop=True)
    if used.empty:
        raise DataError("no pair has distance, answers and all columns", hint="check the subset")
    if "same_identity" in used and used["same_identity"].nunique() > 1:
        raise DataError(
            "genuine and impostor pairs would be pooled", hint="give subset='same_identity'"
        )
    if used["answers"].max() < 2:
        raise DataError("no pair has two answers", hint="ask two people or more about some pairs")
    for name in OUTCOMES:
        if used[name].nunique() < 2:
            raise DataError(
                f"every {name} is {used[name].iloc[0]:g}, so nothing can be estimated",
                hint="check the column, the subset and the system",
                column=name,
            )
    for name in columns:
        if used[name].nunique() < 2 and name in terms:
            raise one_level(name, used)
        if isinstance(used[name].dtype, pd.CategoricalDtype):
            used[name] = used[name].cat.remove_unused_categories()
    table = pd.DataFrame({"reason": list(counts), "count": list(counts.values())})
    return used, table[table["count"] > 0].reset_index(drop=True)


def _excluded(left_out: pd.DataFrame) -> xr.Dataset:
    reasons = left_out["reason"].to_numpy(dtype=str)
    return xr.Dataset(
        {"reason": ("exclusion", reasons), "count": ("exclusion", left_out["count"].to_numpy(int))}
    )


def _membership(rows: pd.DataFrame, columns: list[str]) -> sparse.csr_matrix:
    """Return the weights (rows, levels) of the columns' levels: each member's share of its row."""
    texts = [texts_of(rows[name]) for name in columns]
    if len(columns) > 1:
        check_members(" and ".join(columns), texts)
    levels, codes = np.unique(np.column_stack(texts), return_inverse=True)
    if len(levels) < 2:
        raise one_level(columns[0], rows)
    codes = codes.reshape(len(rows), len(columns))
    return membership(np.ones((len(rows), 1)), codes, len(levels))


def _labels(term: Any) -> list[str]:
    return ["Intercept"] if term.kind == "intercept" else list(map(str, term.labels))


def _posterior(every: dict[str, FloatArray], terms: list[str], sources: list[str]) -> xr.Dataset:
    covariance = every["covariance"]
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    sample = ("chain", "draw")
    return xr.Dataset(
        {
            "coefficient": ((*sample, "term", "outcome"), every["coefficient"]),
            "sd": ((*sample, "source", "outcome"), sd),
            "correlation": ((*sample, "source"), covariance[..., 0, 1] / sd.prod(axis=-1)),
            "noise": (sample, every["noise"]),
        },
        coords={
            "chain": np.arange(sd.shape[0]),
            "draw": np.arange(sd.shape[1]),
            "term": terms,
            "source": sources,
            "outcome": list(OUTCOMES),
        },
    )
