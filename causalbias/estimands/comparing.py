"""Compare the effects of a variable in two fits, such as people's and a network's."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from scipy import special

from causalbias.arguments import flag_in, name_in, names_in, need_fit, number_in, two_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.pairing import paired
from causalbias.draws.summaries import SAMPLE, probability
from causalbias.draws.transformations import per_unit
from causalbias.errors import DataError
from causalbias.estimands.averaging import averaging
from causalbias.estimands.contrasts import effects
from causalbias.estimands.pair_spread import pair_spread
from causalbias.estimands.predictor import designs_in, total_group_variance
from causalbias.estimands.scales import Floats, outcome_named, scale_of
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.formula.parse import proportion
from causalbias.models.group_design import texts_of
from causalbias.models.levels import Level, find_level, levels_of, reference_of
from causalbias.models.needs import need_no_limits, need_rows_themselves
from causalbias.models.specification import observations_of, row_counts

UNITS = ("pair sd", "residual sd", "total sd", "outcome sd", "error rate")
BETWEEN = "between=(['pair', 'seed'], ['seed', 'residual'])"
# What a comparison has beside its labels.
RESULT_NAMES = (
    *("unit", "difference", "excess", "effect_a", "effect_b", "ratio", "p_sign"),
    *("p_larger", "bounded", "n_a", "n_b"),
)


def compare(
    a: xr.DataTree,
    b: xr.DataTree,
    variable: str,
    *,
    by: str | Sequence[str] = (),
    reference: object = None,
    names: tuple[str, str] | None = None,
    opposite: bool = False,
    population: str | None = None,
    rate: float = 0.05,
    between: tuple[str | Sequence[str], str | Sequence[str]] | None = None,
) -> Estimate:
    """Compare the effects of a variable in two fits on a common scale.

    Scores and distances have no common unit. Their effects can be compared relative to the spread
    of the outcome, of which there are several definitions. The dim ``unit`` has five:

    - "pair sd", the main one, and the only one without the noise of answers: the effect on the
      linear predictor in standard deviations of what is said of *pairs* of a cell: for people, of
      their expected answers (the effects of pairs and seeds, not of annotators, not the noise of
      an answer); for a network, of its distances. It does not depend on how noisy answers are, nor
      on how many there are of a pair. People and a network that see the same likeness with the
      same effect have the same effect in it.
    - "residual sd": the effect in standard deviations of the noise of the linear predictor (d-prime
      of a Gaussian model; pi/sqrt(3) for logit and 1 for probit links of ordinal and binary
      models). It measures how well single answers or distances can be distinguished by the effect:
      people's is the smaller the noisier their answers are, and a network has no such noise. If it
      differs between rows, it is the root of its mean variance in each cell of `by`.
    - "total sd": the noise also includes the variance between seeds, annotators and other groups.
    - "outcome sd": the effect on the outcome divided by its standard deviation in the data.
    - "error rate": the change, by the effect in "total sd", of the rate of outcomes above a
      threshold at which it is `rate` in the reference level. For b's distances, this is the rate
      of pairs that do not match; for false matches, give the distances as a, with `opposite`.

    The units differ in the question: of the first, whose view of pairs is more biased; of the
    others, whose single answers are.

    Parameters
    ----------
    a, b : Fit
        Fits of different data, such as people's answers and a network's distances. Their draws are
        paired at random, as those of independent posteriors. If the fits share rows or levels of
        groups, such as seeds, their posteriors are not independent: ``attrs["assumes"]``, which
        printing shows, then says what they share, and intervals of what compares both may be too
        wide or too narrow. Those of ``effect_a`` and ``effect_b`` hold.
    variable : str
        A column of both fits.
    by : str or sequence of str
        Columns of both fits, within whose combinations to average.
    reference : optional
        A level of both fits; by default the first common level.
    names : (str, str), optional
        Labels of `a` and `b`; by default their responses, with the network, question or data set
        of their rows, see `names_of`.
    opposite : bool
        Whether a larger outcome of a corresponds to a smaller outcome of b (such as similarity and
        distance). The sign of a's outcome is then changed.
    population
        As in `predictions`.
    rate : float
        Error rate in the reference level; see above.
    between : (names, names), optional
        Sources of variance by which pairs differ, of a and of b: grouping factors as the formula
        has them, and "residual" where a row is a pair. By default all factors but those of who
        answers (`annotator`, `rater`, ...), and the residual of what is not answers (no column of
        who answers, no `score`, no ordered categories) if the model has no term of `pair`;
        ``attrs["between_a"]`` and ``attrs["between_b"]`` say which. With a network's distances of
        several renderings of a pair and a term of pairs, the residual is the noise of rendering
        and is left out.

    Returns
    -------
    Estimate
        Dims (chain, draw, unit, variable, *by): ``difference`` (b - a), ``excess`` (abs(b) -
        abs(a)), ``effect_a``, ``effect_b``, ``ratio`` (b / a); and (unit, variable, *by):
        ``p_larger``, the posterior probability that b's effect is larger in absolute value,
        ``bounded`` as in `per_unit`, ``n_a``, ``n_b`` (rows). If an effect is not estimable in one
        of the fits, its draws are missing and ``estimable`` (unit, variable, *by) is False; if it
        is identified by a prior only, ``by_prior`` is True. For equivalence see `equivalence`.

    Raises
    ------
    DataError
        If the fits do not share the variable, two of its levels, or a column of `by`, or a family
        has no latent scale. If an outcome has no mean, such as categories that are text, only
        "outcome sd" is missing, and ``attrs["no_outcome_sd"]`` gives the reason. So is "pair sd",
        with ``attrs["no_pair_sd"]``, if a model has no term of pairs though their answers repeat.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> one, other = (
    ...     cb.fit("score ~ C(level) + (1|annotator)", study, subset=f"question == '{name}'")
    ...     for name in ("age", "smiling")
    ... )
    >>> found = cb.compare(one, other, "level", names=("age", "smiling"))
    >>> found["difference"].dims
    ('chain', 'draw', 'unit', 'level')
    """
    for fit in (a, b):
        need_fit(fit)
    by = list(names_in(by, "by"))
    name_in(variable, "the variable")
    rate = number_in(rate, "rate", 0, 1)
    flag_in(opposite, "opposite")
    names = names_of(a, b) if names is None else two_in(names, "names", "names=('people', 'net')")
    models = fitted(a), fitted(b)
    shared = _shared(models, variable, by, names)
    check_names(list(shared), RESULT_NAMES)
    base = reference_of(list(shared[variable]), reference, variable, " in both fits")
    others = {variable: [one for one in shared[variable] if one != base]}
    of_first = {name: {one: one for one in both} for name, both in shared.items()}
    told = (None, None) if between is None else two_in(between, "between", BETWEEN)
    found = [
        _relabelled(_in_units(model, variable, by, base, population, rate, sign, sources), own).sel(
            others
        )
        for model, sign, own, sources in zip(
            models, (-1 if opposite else 1, 1), (of_first, shared), told, strict=True
        )
    ]

    def missing(unit: str) -> str | None:
        reasons = [
            f"{name}: {one.attrs[unit]}"
            for name, one in zip(names, found, strict=True)
            if unit in one.attrs
        ]
        return "; ".join(reasons) or None

    first, second = paired(*found)
    for dim in by:
        if not first.sizes[dim]:
            raise DataError(f"the fits share no level of {dim!r}", hint="leave it out of by")
    populations = [one.attrs["population"] for one in found]
    return estimate(
        compared(first, second),
        of=[a, b],
        figure="comparison",
        estimand=f"effect of {variable} against {base}: {names[1]} (b) minus {names[0]} (a)",
        outcome=", ".join(
            f"{outcome_named(model, 'link')} ({letter})"
            for model, letter in zip(models, "ab", strict=True)
        ),
        a=names[0],
        b=names[1],
        scale="latent",
        population=" and ".join(dict.fromkeys(populations)),
        reference=str(base),
        contrast=variable,
        between_a=found[0].attrs.get("between"),
        between_b=found[1].attrs.get("between"),
        no_pair_sd=missing("no_pair_sd"),
        no_outcome_sd=missing("no_outcome_sd"),
        assumes=_dependence(*models),
    )


def _dependence(a: FittedModel, b: FittedModel) -> str | None:
    """What is to be said of fits whose posteriors are not independent; None of others."""
    one, other = a.frame, b.frame
    responses = [model.response.column for model in (a, b)]
    both = [name for name in one if name in other]
    same = responses[0] == responses[1] and one[both].equals(other[both])
    shared = []
    for names in {member for model in (a, b) for group in model.groups for member in group.members}:
        if set(names) <= set(both):
            levels = [
                set(zip(*(texts_of(frame[name]) for name in names), strict=True))
                for frame in (one, other)
            ]
            count = len(levels[0] & levels[1])
            shared += [f"{count:,} levels of {':'.join(names)}"] if count else []
    if not same and not shared:
        return None
    way = (
        "cb.joint_model.joint fits people's scores and a network's distances together"
        if responses[0] != responses[1]
        else "one fit of all rows, with a column that says which, has right ones"
    )
    what = "all rows" if same else " and ".join(sorted(shared))
    return (
        f"independent fits, but these share {what}: "
        f"intervals of the difference may be too wide or too narrow ({way})"
    )


def compared(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Two effects, their draws paired, side by side: differences, ratio, and what is estimable."""
    one, two = first["effect"], second["effect"]
    ratio = per_unit(two, one)
    result = xr.Dataset(
        {
            "difference": two - one,
            "excess": abs(two) - abs(one),
            "effect_a": one,
            "effect_b": two,
            "ratio": ratio["ratio"],
            "p_larger": probability(abs(two) > abs(one), one, two),
            "bounded": ratio["bounded"],
            "n_a": first["n"],
            "n_b": second["n"],
        }
    )
    # A cell without rows in either fit is left out of tables; one that is not estimable is not.
    without_rows = (first["n"] == 0) | (second["n"] == 0)
    estimable = result["difference"].notnull().all(SAMPLE) | without_rows
    if not estimable.all():
        result["estimable"] = estimable
    by_prior = [each["by_prior"] for each in (first, second) if "by_prior" in each]
    if by_prior:
        result["by_prior"] = sum(by_prior[1:], by_prior[0]) > 0
    return result


def names_of(a: xr.DataTree, b: xr.DataTree) -> tuple[str, str]:
    """Make labels that distinguish two fits.

    A label is the response, with the data set, network or question of the rows if there is a single
    one. If both labels are equal, they include what else differs: the rows, the formula, or the
    order of the fits.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fits = [cb.fit("score ~ level", study, subset=f"question == '{name}'", draws=100)
    ...         for name in ("age", "smiling")]
    >>> names_of(*fits)
    ('score, age', 'score, smiling')
    """
    labels = [json.loads(fit.attrs.get("rows_of", "{}")) for fit in (a, b)]
    if labels[0].get("dataset") == labels[1].get("dataset"):
        labels = [{k: v for k, v in one.items() if k != "dataset"} for one in labels]
    first, second = (
        ", ".join([outcome_named(fitted(fit), "link"), *one.values()])
        for fit, one in zip((a, b), labels, strict=True)
    )
    for more in (lambda fit: fit.attrs.get("subset", ""), lambda fit: fitted(fit).spec.formula):
        if first != second:
            break
        if more(a) != more(b):
            return f"{first} ({more(a) or 'all rows'})", f"{second} ({more(b) or 'all rows'})"
    return (first, second) if first != second else (f"{first} (a)", f"{second} (b)")


def _shared(
    models: Sequence[FittedModel], variable: str, by: Sequence[str], names: tuple[str, str]
) -> dict[str, dict[Level, Level]]:
    """Return the common levels of the variable and of `by`, as in the first and the second fit.

    They are in the order of the first fit. The number 1 and the text "1" are the same level, as in
    every verb.
    """
    frames = [model.frame.drop(columns=model.response.column) for model in models]
    columns = [name for name in frames[0] if name in frames[1]]
    for name in (variable, *by):
        if name not in columns:
            raise DataError(
                f"{name!r} is not a variable of both fits",
                hint=f"use one that they share: {', '.join(map(str, columns)) or 'there is none'}",
            )
    found: dict[str, dict[Level, Level]] = {}
    for name in (variable, *by):
        first, second = (levels_of(frame[name]) for frame in frames)
        both = {one: find_level(second, one) for one in first}
        found[name] = {one: its for one, its in both.items() if its is not None}
    if len(found[variable]) < 2:
        levels = "; ".join(
            f"{name}: {', '.join(map(str, levels_of(frame[variable])))}"
            for name, frame in zip(names, frames, strict=True)
        )
        raise DataError(
            f"the fits share {len(found[variable])} levels of {variable!r} ({levels})",
            hint="compare fits of designs that share two levels or more",
        )
    return found


def _relabelled(effect: xr.Dataset, levels: Mapping[str, Mapping[Level, Level]]) -> xr.Dataset:
    """At the levels that both fits have, with the first's labels; ``levels``: name to own label."""
    for name, both in levels.items():
        there = set(effect[name].values.tolist())  # an effect has none of its reference
        kept = {label: own for label, own in both.items() if own in there}
        effect = effect.sel({name: list(kept.values())}).assign_coords({name: list(kept)})
    return effect


def _in_units(
    model: FittedModel,
    variable: str,
    by: Sequence[str],
    reference: object,
    population: str | None,
    rate: float,
    sign: int,
    sources: str | Sequence[str] | None,
) -> xr.Dataset:
    """Effect times `sign` in each common unit, dims (chain, draw, unit, variable, *by)."""
    fit = model.fit
    scale_of(model, "latent", None)  # or one error
    shape = [model.posterior.sizes[dim] for dim in SAMPLE]

    def of_draws(values: Floats) -> xr.DataArray:
        return xr.DataArray(values.reshape(shape), dims=SAMPLE)

    kwargs = {"by": by, "reference": reference, "population": population}
    link = effects(fit, variable, scale="link", **kwargs)  # type: ignore[arg-type]
    response = model.response
    # Of a transform that falls as its column grows, as 1/y, more is less.
    falls = response.map is not None and not response.map.increasing
    on_link = (-sign if falls else sign) * link["effect"]
    try:
        outcome = sign * effects(fit, variable, **kwargs)["effect"]  # type: ignore[arg-type]
        outcome = outcome / _outcome_sd(model)
    except DataError as error:  # the effect on the link is known: what lacks is an outcome's mean
        outcome = np.nan * on_link
        link = link.assign_attrs(no_outcome_sd=error.problem)
    noise = _noise(model, variable, by, population)
    between = total_group_variance(model, model.frame, designs=designs_in(model, "new")[1])
    try:
        pairs = pair_spread(model, sources)
        own = of_draws(pairs.variance_of_groups(model))
        in_pairs = on_link / np.sqrt(own + np.square(noise) if pairs.residual else own)
        link = link.assign_attrs(between=", ".join(pairs.sources))
    except DataError as error:
        if sources is not None:
            raise
        in_pairs = np.nan * on_link
        link = link.assign_attrs(no_pair_sd=f"{error.problem} ({error.hint})")
    in_total = on_link / np.sqrt(np.square(noise) + of_draws(between))
    units = [
        in_pairs,
        on_link / noise,
        in_total,
        outcome,
        xr.apply_ufunc(special.ndtr, special.ndtri(rate) + in_total) - rate,
    ]
    labels = xr.DataArray(list(UNITS), dims="unit", name="unit")
    joined = xr.concat(units, labels).transpose(*SAMPLE, "unit", ...)
    return link.assign(effect=joined.assign_coords(unit=list(UNITS)))


def _noise(
    model: FittedModel, variable: str, by: Sequence[str], population: str | None
) -> xr.DataArray:
    """Standard deviation (chain, draw, *by) of the noise, as of the scale "latent"."""
    over = averaging(model.fit, by, variables=[variable], scale="link", population=population)
    found = over.dataset({"noise": np.sqrt(over.noise_variance(weighted=False))}, "noise")
    return found["noise"].drop_vars("n", errors="ignore")


def _outcome_sd(model: FittedModel) -> float:
    """Standard deviation of the outcome over observations: alike for rows and for their counts."""
    spec, frame = model.spec, model.frame
    need_no_limits(model.fit, f"the standard deviation of {model.response.column}")
    counts = observations_of(spec, frame)
    if model.family.has_trials:
        hits = float(row_counts(spec, frame) @ frame[proportion(spec.formula)[0]].to_numpy(float))
        rate = hits / counts.sum()
        return float(np.sqrt(rate * (1 - rate) * counts.sum() / (counts.sum() - 1)))
    response = model.response
    if response.transformed:
        need_rows_themselves(model.fit, f"the standard deviation of {response.column}")
    if model.family.has_thresholds or (response.transformed and len(response.columns) == 1):
        values = frame[response.column].astype(float).to_numpy()  # what the effect is on
    else:
        observed = next(iter(model.fit.children["observed_data"].data_vars.values()))
        values = observed.values.astype(float)
    apart = np.square(values - np.average(values, weights=counts))
    return float(np.sqrt(counts @ apart / (counts.sum() - 1)))
