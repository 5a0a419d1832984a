"""How far pairs differ by what a judge says of them, apart from the noise of the answers.

People answer with noise and differ in severity; a network returns one number a pair. What both have
is a spread between pairs: of the expected answers of people, of the distances of a network.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from causalbias.arguments import names_in
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.predictor import designs_in, noise_variance, total_group_variance
from causalbias.estimands.scales import Floats
from causalbias.models.fitted import FittedModel
from causalbias.models.group_design import GroupDesign
from causalbias.models.groupings import PAIR, is_judge
from causalbias.models.result import frame_with_others
from causalbias.models.specification import observations_of

RESIDUAL, ANSWER = "residual", "score"  # the columns as studies name them


@dataclass(frozen=True)
class PairSpread:
    """The sources of variance by which pairs of a cell differ.

    Attributes
    ----------
    groups : tuple of GroupDesign
        Group terms of what is shown: of pairs, seeds, faces.
    residual : bool
        Whether the residual is one of them, as where a row is a pair.

    Examples
    --------
    >>> import causalbias as cb
    >>> from causalbias.models.fitted import fitted
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> people = cb.fit("score ~ race + (1|annotator) + (1|pair)", study, draws=100,
    ...                 subset="same_identity", family="gaussian")
    >>> network = cb.fit("distance ~ race + (1|seed)", study, draws=100,
    ...                  subset="same_identity and system == 'ResNet-34'")
    >>> pair_spread(fitted(people)).sources, pair_spread(fitted(network)).sources
    (('pair',), ('seed', 'residual'))
    """

    groups: tuple[GroupDesign, ...]
    residual: bool

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the grouping factors, and "residual"."""
        factors = dict.fromkeys(one.factor for one in self.groups)
        return (*factors, *([RESIDUAL] if self.residual else []))

    def variance_of_groups(self, model: FittedModel) -> Floats:
        """Variance (draws,) of new pairs by their group terms, over the rows of the fit."""
        return total_group_variance(model, model.frame, designs=self.groups)


def pair_spread(model: FittedModel, sources: str | Sequence[str] | None = None) -> PairSpread:
    """Find the sources of variance by which pairs differ.

    By default they are all grouping factors but those of who answers (`JUDGES`, alone or crossed
    with others), and the residual where a row is a pair: the outcome is not people's answers, and
    the model has no term of pairs. Answers are those of data that name who answers, a `score`, or
    ordered categories. Their residual is noise, of means of a pair's answers too.

    Parameters
    ----------
    model : FittedModel
    sources : str or sequence of str, optional
        Grouping factors of the model, or "residual", to say otherwise.

    Raises
    ------
    DataError
        If the model has no such source, or none at all.
    """
    between = designs_in(model, "new")[1]
    if sources is not None:
        return _named(between, names_in(sources, "between"))
    columns = [str(name) for name in frame_with_others(model.fit)]
    columns += json.loads(model.fit.attrs.get("judges", "[]"))  # of rows that were summed up
    named = any(map(is_judge, columns))
    answers = named or model.family.has_thresholds or model.response.column == ANSWER
    of_pairs = [one for one in between if not any(map(is_judge, set().union(*one.members)))]
    repeated = any(PAIR in set().union(*one.members) for one in of_pairs)
    if answers and not repeated and of_pairs and (PAIR in columns or not named):
        raise DataError(
            f"{model.spec.formula} does not tell what pairs have of their own from the noise of "
            "answers",
            hint="model single answers, with (1|annotator) and (1|pair)",
        )
    found = PairSpread(tuple(of_pairs), not (answers or repeated))
    if not found.sources:
        raise DataError(
            f"no term of {model.spec.formula} says how pairs differ",
            hint="add (1|pair), or the columns that name what is shown, to the formula",
        )
    return found


def pair_sd(model: FittedModel) -> xr.DataArray:
    """Standard deviation (chain, draw) of what a judge says of pairs of a cell, over all rows.

    It is the unit "pair sd" of `compare`, whose noise is that of each cell of `by`.

    Raises
    ------
    DataError
        As `pair_spread`.
    """
    frame, spread = model.frame, pair_spread(model)
    variance = spread.variance_of_groups(model).ravel()
    if spread.residual:
        cell, counts = np.zeros(len(frame), int), observations_of(model.spec, frame)
        variance += noise_variance(model, frame, cell, counts, "new", weighted=False).ravel()
    shape = [model.posterior.sizes[dim] for dim in SAMPLE]
    return xr.DataArray(np.sqrt(variance).reshape(shape), dims=SAMPLE)


def _named(between: Sequence[GroupDesign], sources: Sequence[str]) -> PairSpread:
    factors = dict.fromkeys(one.factor for one in between)
    for name in sources:
        if name not in (*factors, RESIDUAL):
            raise DataError(
                f"the model has no source of variance {name!r}",
                hint=f"use some of {', '.join((*factors, RESIDUAL))}",
            )
    if not sources:
        raise DataError("no source of variance is named", hint='such as between=(["pair"], ...)')
    return PairSpread(tuple(one for one in between if one.factor in sources), RESIDUAL in sources)
