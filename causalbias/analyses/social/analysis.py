"""How a vision-language model perceives faces: similarities with prompts, by attribute."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.analyses.fitting import fit_models, join
from causalbias.analyses.social.table import (
    NEUTRAL,
    absolute_changes,
    outcomes_of,
    similarities_in,
)
from causalbias.arguments import generator, names_in, number_in
from causalbias.datasets.answers import Answers
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.estimands.contrasts import predictions
from causalbias.estimands.dose import dose
from causalbias.estimands.heterogeneity import variance_shares
from causalbias.models.result import Fit

RESAMPLES = 4000


@dataclass(frozen=True, repr=False)
class SocialPerception(Listed):
    """Result of `analyse_social_perception`.

    The dim ``prompts`` says of which prompts an estimate is: "positive - negative" (of each
    dimension, if there are several), "neutral", or "all prompts". Units are those of the
    similarity: cosines.

    Attributes
    ----------
    answers : Answers
        The table, as columns `image`, `prompt`, `similarity`, `seed`, `valence`, `dimension` and
        the attributes.
    groups, doses : tuple of str
        Attributes that are categories, and those that are numbers.
    fits : dict of str to Fit
        By prompts.
    cells : Estimate
        ``prediction`` (chain, draw, cell, prompts): mean of each combination of groups, in the
        population of seeds and prompts, over all combinations of doses with equal weights;
        ``n`` (cell, prompts): images of the combination.
    effects : Estimate
        ``effect`` (chain, draw, contrast, prompts): of each level of a group against the first,
        over combinations of the other groups with equal weights. ``n`` (prompts): images of all.
    interactions : Estimate or None
        ``effect`` (chain, draw, contrast, prompts): how much an effect differs between two levels
        of another group. None with one group, or if combinations have no image.
    markedness : Estimate or None
        ``effect`` (chain, draw, contrast): mean of each level and combination, minus the mean of
        the others, of neutral prompts.
    curves : dict of str to Estimate
        By dose, of `dose`, with the further dim ``prompts``.
    coefficients : Estimate or None
        ``coefficient`` (chain, draw, dose, term, prompts): "linear", the slope in the middle of
        the range of the dose, and "quadratic", half the second derivative. ``n``: rows of the
        model.
    shares : Estimate
        ``share`` (chain, draw, source, prompts) of the variance of the model's rows; see
        `variance_shares`. The rows of a contrast are of a prompt each, in which prompts and noise
        vary by P (1 / P+ + 1 / P-) times what they do in a similarity, P the number of prompts (see
        `valence_rows`): attributes have larger shares of an image's contrast over all prompts.
    changes : Estimate
        ``change`` (chain, draw, attribute): mean absolute difference of the similarities with a
        prompt of two images of one seed that differ in this attribute only. ``n``: such pairs.
    prob : float
        Probability of the intervals.
    """

    answers: Answers
    groups: tuple[str, ...]
    doses: tuple[str, ...]
    fits: dict[str, Fit]
    cells: Estimate
    effects: Estimate
    interactions: Estimate | None
    markedness: Estimate | None
    curves: dict[str, Estimate]
    coefficients: Estimate | None
    shares: Estimate
    changes: Estimate
    prob: float


def analyse_social_perception(
    data: pd.DataFrame | str | Path,
    *,
    image: str,
    prompt: str,
    similarity: str,
    seed: str,
    groups: str | Sequence[str],
    doses: str | Sequence[str] = (),
    valence: str = "",
    dimension: str = "",
    prob: float = 0.95,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> SocialPerception:
    """Estimate how attributes of faces change their similarity with prompts.

    As Hausladen, Knott, Camerer and Perona (2024), "Social perception of faces in a
    vision-language model", with a model in place of averages: Gaussian, one for each kind of
    prompts, with groups crossed, doses linear and quadratic, and effects of seeds, of seeds in a
    combination of groups, of images, and of prompts: their levels, own responses to each
    combination of groups, and own slopes. Intervals are thus of other seeds and other prompts of
    the kind. With positive and negative prompts, the outcome is each image's contrast of the two;
    see the how-to page.

    Parameters
    ----------
    data : DataFrame or path
        One row per image and prompt, or a CSV, TSV or Parquet file of such rows.
    image, prompt, similarity, seed : str
        Columns of the image, the prompt, the cosine of their embeddings, and the seed: what images
        share that differ in attributes only.
    groups : str or sequence of str
        Columns of attributes that are categories, such as race and gender. Their first level is
        the reference.
    doses : str or sequence of str
        Columns of attributes that are numbers, such as the level of a smile.
    valence : str
        Column of each prompt's valence: "positive", "negative" or "neutral".
    dimension : str
        Column of what each prompt is about, such as warmth and competence; each has its model.
    prob : float
        Probability of the intervals.
    draws, random_seed
        As in `fit`.
    progress, keep
        Called with a line of text before each model; directory of the fits.

    Returns
    -------
    SocialPerception
        Rows with a missing cell, and images without a similarity with each valenced prompt, are
        left out, and counted in ``answers.excluded``.

    Raises
    ------
    DataError
        If a column is missing or a cell no number, an image and prompt are there twice, an image
        has two values of an attribute or a prompt of valence, a valence is another word, an
        attribute has one level, or there are fewer than three seeds.

    Examples
    --------
    >>> import causalbias as cb
    >>> table = cb.simulation.simulate_social_perception(seeds=4, prompts=2)
    >>> found = cb.analyses.analyse_social_perception(
    ...     table[table["valence"] == "neutral"], image="image", prompt="prompt",
    ...     similarity="similarity", seed="seed", groups=["race", "gender"], draws=100)
    >>> found.effects["contrast"].values.tolist()
    ['race: black - asian', 'race: white - asian', 'gender: male - female']
    """
    prob = number_in(prob, "prob", 0, 1)
    of_groups, of_doses = names_in(groups, "groups"), names_in(doses, "doses")
    if not of_groups:
        raise DataError("no groups are named", hint='name a column, as groups=["race"]')
    columns = {"image": image, "prompt": prompt, "seed": seed}
    columns |= {"valence": valence, "dimension": dimension}
    answers = similarities_in(data, columns, similarity, of_groups, of_doses)
    parts, answers = outcomes_of(answers)
    fits = fit_models(
        {name: (formula_of(rows, of_groups, of_doses), rows) for name, rows in parts.items()},
        progress=progress,
        keep=keep,
        draws=draws,
        random_seed=random_seed,
    )
    each = {name: _cells(fit, answers.frame, of_groups, of_doses) for name, fit in fits.items()}
    shown = {name: rows.drop_duplicates("image") for name, rows in parts.items()}
    images = {name: len(rows) for name, rows in shown.items()}
    curves = {one: join({name: dose(fit, one) for name, fit in fits.items()}, "prompts")
              for one in of_doses}  # fmt: skip
    crossed = len(of_groups) > 1 and is_crossed(answers.frame, of_groups)
    return SocialPerception(
        answers,
        of_groups,
        of_doses,
        fits,
        _joined(each, images, lambda cells: stack_cells(cells, of_groups), "cell").assign(
            n=_images_of_cells(shown, of_groups)
        ),
        _joined(each, images, lambda cells: contrasts(cells, of_groups), "contrast"),
        _joined(each, images, lambda cells: interactions(cells, of_groups), "contrast")
        if crossed
        else None,
        _markedness(each, images, of_groups),
        curves,
        _coefficients(curves) if curves else None,
        join({name: variance_shares(fit) for name, fit in fits.items()}, "prompts"),
        _changes(answers.frame, [*of_groups, *of_doses], random_seed),
        prob,
    )


def formula_of(rows: pd.DataFrame, groups: Sequence[str], doses: Sequence[str]) -> str:
    """Formula of the model: what these rows can tell.

    Examples
    --------
    >>> import causalbias as cb
    >>> rows = cb.simulation.simulate_social_perception(seeds=4, prompts=2)
    >>> formula_of(rows, ["race"], [])
    'similarity ~ race + (1|image) + (1|seed) + (1|seed:race) + (1|prompt) + (1|prompt:race)'
    """
    images = rows.drop_duplicates("image")
    numbers = [one for one in doses if images[one].nunique() > 1]
    terms = ["*".join(groups) if is_crossed(rows, groups) else " + ".join(groups)]
    terms += [f"poly({one}, 2)" if images[one].nunique() > 2 else one for one in numbers]
    cell = ":".join(groups)
    if len(rows) > len(images):
        terms.append("(1|image)")
    if len(images) > images["seed"].nunique():
        terms.append("(1|seed)")
        per_cell = images.groupby(["seed", *groups], observed=True).size()
        if (per_cell > 1).any() and (per_cell.groupby("seed", observed=True).size() > 1).any():
            terms.append(f"(1|seed:{cell})")
        several = images.groupby("seed", observed=True)
        terms += [f"(0 + {one}|seed)" for one in numbers if (several[one].nunique() > 1).any()]
    if rows["prompt"].nunique() > 1 and len(rows) > len(images):
        terms += ["(1|prompt)", f"(1|prompt:{cell})", *(f"(0 + {one}|prompt)" for one in numbers)]
    return f"similarity ~ {' + '.join(terms)}"


def is_crossed(rows: pd.DataFrame, groups: Sequence[str]) -> bool:
    """Whether each combination of levels of the groups has rows."""
    there = len(rows[list(groups)].drop_duplicates())
    return bool(there == np.prod([rows[one].nunique() for one in groups]))


def _cells(fit: Fit, frame: pd.DataFrame, groups: Sequence[str], doses: Sequence[str]) -> Estimate:
    """Mean of each combination of groups, over those of doses with equal weights."""
    levels = [frame[one].cat.categories for one in groups]
    grid = pd.DataFrame(list(product(*levels)), columns=list(groups))
    if doses:
        grid = grid.merge(frame[list(doses)].drop_duplicates(), how="cross")
    for one in groups:
        grid[one] = pd.Categorical(grid[one], frame[one].cat.categories)
    return predictions(fit, list(groups), newdata=grid)


def _joined(
    each: Mapping[str, Estimate],
    images: Mapping[str, int],
    compute: Callable[[xr.DataArray], dict[str, xr.DataArray]],
    dim: str,
) -> Estimate:
    """Contrasts of cells along a dim, of all prompts; ``n``: images."""
    name = "prediction" if dim == "cell" else "effect"
    parts: dict[str, xr.Dataset] = {}
    for prompts, cells in each.items():
        made = compute(cells["prediction"])
        values = xr.concat(
            list(made.values()), pd.Index(list(made), name=dim), coords="minimal", compat="override"
        ).transpose("chain", "draw", dim)
        values = values.drop_vars([one for one in values.coords if one not in values.dims])
        parts[prompts] = estimate(
            xr.Dataset({name: values, "n": images[prompts]}),
            of=[cells],
            variable=name,
            estimand=f"similarity with prompts by {dim}",
            outcome="cosine similarity",
            scale="response",
            population="new",
        )
    return join(parts, "prompts")


def stack_cells(cells: xr.DataArray, groups: Sequence[str]) -> dict[str, xr.DataArray]:
    """Combinations of levels by their names."""
    levels = [cells[one].values for one in groups]
    return {
        ", ".join(map(str, one)): cells.sel(dict(zip(groups, one, strict=True)))
        for one in product(*levels)
    }


def contrasts(cells: xr.DataArray, groups: Sequence[str]) -> dict[str, xr.DataArray]:
    """Each level minus the first, over the other groups with equal weights."""
    found = {}
    for one in groups:
        mean = cells.mean([other for other in groups if other != one], skipna=False)
        first, *levels = cells[one].values
        for level in levels:
            value = mean.sel({one: level}) - mean.sel({one: first})
            found[f"{one}: {level} - {first}"] = value
    return found


def interactions(cells: xr.DataArray, groups: Sequence[str]) -> dict[str, xr.DataArray]:
    """Differences of differences of two groups, over the others with equal weights."""
    found = {}
    for a, b in combinations(groups, 2):
        mean = cells.mean([one for one in groups if one not in (a, b)], skipna=False)
        (a0, *a_levels), (b0, *b_levels) = cells[a].values, cells[b].values
        for one, two in product(a_levels, b_levels):
            high = mean.sel({a: one, b: two}) - mean.sel({a: a0, b: two})
            low = mean.sel({a: one, b: b0}) - mean.sel({a: a0, b: b0})
            found[f"{a}: {one} - {a0}, by {b}: {two} - {b0}"] = high - low
    return found


def marked(cells: xr.DataArray, groups: Sequence[str]) -> dict[str, xr.DataArray]:
    """Each level, and each combination of levels, minus the mean of the others."""
    found = {}
    for one in groups:
        mean = cells.mean([other for other in groups if other != one], skipna=False)
        number = mean.sizes[one]
        for level in mean[one].values:
            own = mean.sel({one: level})
            others = (mean.sum(one, skipna=False) - own) / (number - 1)
            found[f"{one}: {level}"] = own - others
    if len(groups) > 1:
        total, size = cells.sum(groups, skipna=False), np.prod([cells.sizes[g] for g in groups])
        for name, own in stack_cells(cells, groups).items():
            found[name] = own - (total - own) / (size - 1)
    return found


def _images_of_cells(shown: Mapping[str, pd.DataFrame], groups: Sequence[str]) -> xr.DataArray:
    """Images (cell, prompts) of each combination of groups."""
    counts = {}
    for prompts, rows in shown.items():
        cells = rows[list(groups)].astype(str).agg(", ".join, axis=1)
        levels = product(*(rows[one].cat.categories.astype(str) for one in groups))
        counts[prompts] = cells.value_counts().reindex(
            [", ".join(one) for one in levels], fill_value=0
        )
    table = pd.DataFrame(counts).rename_axis(index="cell", columns="prompts")
    return xr.DataArray(table)


def _markedness(
    each: Mapping[str, Estimate], images: Mapping[str, int], groups: Sequence[str]
) -> Estimate | None:
    if NEUTRAL not in each:
        return None
    of = {NEUTRAL: each[NEUTRAL]}
    found = _joined(of, images, lambda cells: marked(cells, groups), "contrast")
    return found.isel(prompts=0, drop=True)


def _coefficients(curves: Mapping[str, Estimate]) -> Estimate:
    """Linear and quadratic coefficients about the middle of each dose, from its curve.

    Of f(x) = f(m) + b (x - m) + c (x - m)^2 at any three doses of the curve, by least squares
    over all of them, which is exact.
    """
    parts, rows = {}, {}
    for name, curve in curves.items():
        values = curve["prediction"]
        rows[name] = curve["n"]
        x = np.asarray(values[name], float)
        degree = min(2, len(x) - 1)
        basis = np.vander(x - (x.min() + x.max()) / 2, degree + 1, increasing=True)
        weights = xr.DataArray(
            np.linalg.pinv(basis)[1:],
            dims=("term", name),
            coords={"term": ["linear", "quadratic"][:degree], name: values[name]},
        )
        parts[name] = xr.dot(values, weights, dim=name)
    found = xr.concat(list(parts.values()), pd.Index(list(parts), name="dose"), join="outer")
    return estimate(
        xr.Dataset(
            {
                "coefficient": found.transpose("chain", "draw", "dose", "term", ...),
                "n": xr.concat(list(rows.values()), pd.Index(list(rows), name="dose")),
            }
        ),
        of=list(curves.values()),
        variable="coefficient",
        estimand="coefficients of doses about the middle of their range",
        outcome="cosine similarity by unit of dose, and by its square",
        scale="response",
        population="new",
    )


def _changes(frame: pd.DataFrame, attributes: Sequence[str], random_seed: int) -> Estimate:
    """Mean absolute changes by attribute, and what else they may be in other seeds.

    The mean is a ratio r of sums over seeds. Draws of log r are of Student's t about it with one
    degree of freedom less than seeds, of the linearised residuals ``total - r number`` of seeds,
    whose weights are the same for all attributes. A bootstrap of few seeds is too narrow.
    """
    sums = absolute_changes(frame, attributes)
    random, seeds = generator(random_seed, 1), frame["seed"].nunique()
    weights = random.standard_normal((RESAMPLES, seeds)) * np.sqrt(seeds / (seeds - 1))
    weights /= np.sqrt(random.chisquare(seeds - 1, (RESAMPLES, 1)) / (seeds - 1))
    values = np.full((RESAMPLES, len(attributes)), np.nan)
    number = np.zeros(len(attributes), int)
    for at, (total, count) in enumerate(sums.values()):
        number[at] = int(count.sum())
        if whole := total.sum():
            mean = whole / number[at]
            values[:, at] = mean * np.exp(weights @ (total - mean * count) / whole)
        elif number[at]:
            values[:, at] = 0.0
    found = xr.Dataset(
        {"change": (("chain", "draw", "attribute"), values[None]), "n": ("attribute", number)},
        coords={"chain": [0], "draw": np.arange(RESAMPLES), "attribute": list(attributes)},
    )
    return estimate(
        found,
        of=[],
        variable="change",
        estimand="mean absolute difference of images that differ in one attribute",
        outcome="cosine similarity",
        scale="response",
    )
