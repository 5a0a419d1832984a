"""Default priors in the units of the response: bambi's rules, with the family's units."""

import bambi as bmb
import numpy as np
from bambi.priors.scaler import PriorScaler

from causalbias.models.families.base import Family
from causalbias.models.priors import parse_priors


def bambi_family(family: Family) -> str | bmb.Family:
    """The family of bambi: by its name, or made of the family's own PyMC variable."""
    if family.pymc is None:
        return family.name
    parameters = [family.mean_name, *family.parameters]
    likelihood = bmb.Likelihood(family.name, parameters, family.mean_name, family.pymc)
    links = {name: family.link_of(name).name for name in family.parameters}
    links[family.mean_name] = family.link.name
    found = bmb.Family(family.name, likelihood, links)
    # Any prior: that of the response's size is given once the response is known.
    found.set_default_priors({name: bmb.Prior("Flat") for name in family.parameters})
    return found


def scale_priors(model: bmb.Model, family: Family) -> None:
    """Scale the default priors of a model by the family's units and their defaults; in place.

    bambi knows the units of "gaussian" and "t" with an identity link only.
    """
    _Scaler(model, family).scale()


class _Scaler(PriorScaler):
    """bambi's scaling with centre and spread of the response by `Family.units`."""

    def __init__(self, model: bmb.Model, family: Family) -> None:
        super().__init__(model)
        self.family = family
        self.y = np.asarray(self.response_term.data, float)
        self.response_mean, self.response_std = family.units(self.y)

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
