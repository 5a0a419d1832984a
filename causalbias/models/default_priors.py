"""Default priors in the units of the response: bambi's rules, with the family's units."""

from collections.abc import Iterable, Sequence
from typing import Any

import bambi as bmb
import numpy as np
from bambi.families.univariate import Bernoulli, Binomial
from bambi.priors.scaler import PriorScaler

from causalbias.errors import DataError
from causalbias.models.columns import FloatArray, average, of_rows, spread
from causalbias.models.families.base import Family
from causalbias.models.priors import parse_priors


def bambi_family(family: Family) -> str | bmb.Family:
    """The family of bambi: by its name, or made of the family's own PyMC variable."""
    if family.pymc is None:
        return family.bambi_name
    parameters = [family.mean_name, *family.parameters]
    likelihood = bmb.Likelihood(family.name, parameters, family.mean_name, family.pymc)
    links = {name: family.link_of(name).name for name in family.parameters}
    links[family.mean_name] = family.link.name
    found = bmb.Family(family.name, likelihood, links)
    # Any prior: that of the response's size is given once the response is known.
    found.set_default_priors({name: bmb.Prior("Flat") for name in family.parameters})
    return found


def scale_priors(model: bmb.Model, family: Family, repeats: FloatArray | None = None) -> None:
    """Scale the default priors of a model by the family's units and their defaults; in place.

    bambi knows the units of "gaussian" and "t" with an identity link only, and takes the response
    as it is. Where an offset is far from zero, as the log of an exposure is, its prior of the
    intercept would hold the mean there against all data. So a constant added to the offset changes
    nothing but the intercept, and a Gaussian response with an offset has the priors of the
    difference. ``repeats`` (rows,): how often each row counts; once by default.

    Raises
    ------
    DataError
        If nothing is left of the response beside its offset.
    """
    with np.errstate(all="ignore"):  # columns that are constant in the rows are left out later
        _Scaler(model, family, repeats).scale()


def set_thresholds(
    model: bmb.Model, family: Family, sizes: Sequence[int], centres: Iterable[float]
) -> None:
    """Give sets of thresholds of these sizes their default means, each about a centre; in place.

    Centres (sets,) are the means of the offset in the sets' rows: see `scale_priors`.
    """
    means = [
        np.round(np.linspace(-2, 2, num=size), 2) if family.thresholds_ascend else np.zeros(size)
        for size in sizes
    ]
    means = [mean + centre for mean, centre in zip(means, centres, strict=True)]
    model.parameters["threshold"].prior.update(mu=np.concatenate(means))


class _Scaler(PriorScaler):
    """bambi's scaling with centre and spread of the response by `Family.units`."""

    def __init__(self, model: bmb.Model, family: Family, repeats: FloatArray | None) -> None:
        super().__init__(model)
        self.family, self.repeats = family, repeats
        response = np.asarray(self.response_term.data, float)
        offsets = [
            np.asarray(one.data, float) for one in self.parent_component.offset_terms.values()
        ]
        self.offset = np.broadcast_to(sum(offsets, np.zeros(1)), len(response))
        beside = family.beside(response, self.offset)
        self.y = of_rows(beside, repeats)
        self.response_mean, self.response_std = family.units(self.y)
        if beside is response:
            self.response_mean -= float(average(self.offset, repeats))
        if not self.response_std > 1e-12 * np.abs(self.offset).max(initial=0.0):
            raise DataError(
                "the response is the offset and a constant in all rows",
                hint="leave the offset out, or correct it: nothing is left to model",
            )

    def get_slope_sigma(self, x: FloatArray) -> float:
        """As bambi's, over rows that count so often."""
        return float(self.STD * (self.response_std / spread(np.asarray(x, float), self.repeats)))

    def scale_common(self, term: Any) -> None:
        """As bambi's; in binary models it is 1 / sd of a number, over rows that count so often."""
        super().scale_common(term)
        if self.repeats is None or term.prior.name != "Normal" or not self._has_own_sd(term):
            return
        columns = np.asarray(term.data, float)
        x = columns if columns.ndim == 1 else columns.sum(axis=1)  # of a number times a factor
        sigma = term.prior.args["sigma"] * np.std(x) / spread(x, self.repeats)
        self.priors[term.name]["sigma"] = sigma
        term.prior.update(sigma=sigma)

    def _has_own_sd(self, term: Any) -> bool:
        """Whether bambi took the standard deviation of a term's number itself."""
        binary = isinstance(self.model.family, Bernoulli | Binomial)
        if not binary or self.family.link.name not in ("logit", "probit"):
            return False
        if term.kind == "interaction":
            return any(one.kind != "categoric" for one in term.term.components)
        return not term.categorical

    def get_intercept_stats(self) -> tuple[float, float]:
        """As bambi's, over rows that count so often."""
        sigma = self.STD * self.response_std
        if self.priors:
            sigmas = np.hstack([prior["sigma"] for prior in self.priors.values()])
            columns = (self.parent_component.terms[term].data for term in self.priors)
            means = [average(np.asarray(one, float), self.repeats) for one in columns]
            sigma = (sigma**2 + np.dot(sigmas**2, np.hstack(means) ** 2)) ** 0.5
        return self.response_mean, sigma

    def scale_intercept(self, term: Any) -> None:
        """About the centre, also of binary answers, for which bambi's is zero."""
        super().scale_intercept(term)
        if term.prior.name == "Normal":
            term.prior.update(mu=self.response_mean)

    def scale_threshold(self) -> None:
        """About the categories' thresholds and the offset, which they are compared with.

        bambi's are as many as categories that occur.
        """
        own = self.model.parameters.get("threshold")
        default = own is not None and own.prior.auto_scale
        super().scale_threshold()
        if default:
            cuts = len(self.model.response_term.levels) - 1
            centre = float(average(self.offset, self.repeats))
            set_thresholds(self.model, self.family, [cuts], [centre])

    def scale_response(self) -> None:
        """Give parameters of the distribution the family's default priors."""
        for name, text in self.family.default_priors(self.y).items():
            prior = self.model.parameters[name].prior
            if getattr(prior, "auto_scale", False):
                family = self.family
                (prior,) = parse_priors(
                    {name: text}, family.positive, family.probabilities
                ).values()
                prior.auto_scale = True  # a default still, should columns be left out
                self.model.parameters[name].prior = prior
