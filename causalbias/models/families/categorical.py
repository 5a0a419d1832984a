"""Categories in no order, such as which group a face is seen as of: the multinomial logit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import special

from causalbias.errors import DataError
from causalbias.models.families.base import Family, Floats, Parameters

MAX_CATEGORIES = 30


class Categorical(Family):
    """y is category k with probability ``exp(mu_k) / sum_j exp(mu_j)``, mu of the first zero.

    Each category but the first, the reference, has a linear predictor of its own, of the terms of
    the formula: the log odds of the category against the reference. They are parameters of the
    distribution, ``mu_<category>``; eta, the reference's, is zero in every fit.
    """

    name = "categorical"
    response = "categories: texts, or whole numbers"
    links = ("logit",)
    mean_name = "p"
    noise = "the noise of single answers"
    statistics = ("category shares",)
    by_category = True
    has_curves = True

    @property
    def bambi_name(self) -> str:
        """That of another family of categories: there is no predictor beside the parameters'."""
        return "cumulative"

    @property
    def scales(self) -> tuple[str, ...]:
        """Probabilities of the categories, which are the means of their indicators."""
        return ("response", "probability")

    def validate_response(self, values: pd.Series, trials: pd.Series | None = None) -> pd.Series:
        """Categories that occur, in the order that they have; whole numbers in theirs."""
        found = values
        if pd.api.types.is_numeric_dtype(values):
            bad = (values != values.round()).to_numpy()
            if bad.any():
                raise self.wrong_response(values, bad)
            found = values.astype(int).astype("category")
        found = found.astype("category").cat.remove_unused_categories().cat.as_ordered()
        many = len(found.cat.categories)
        if not 2 <= many <= MAX_CATEGORIES:
            raise DataError(
                f"all responses are {found.iloc[0]}" if many < 2 else f"{many:,} categories",
                hint=f"a model of categories needs 2 to {MAX_CATEGORIES} that occur",
                file="data",
                column=str(values.name),
            )
        return found

    def predictors(self, categories: Sequence[Any]) -> list[str]:
        """``mu_`` and the letters and digits of each category but the first.

        Raises
        ------
        DataError
            If two are the same, or one has neither letters nor digits.
        """
        short = [re.sub(r"[\W_]", "", str(one)) for one in categories]
        for at, one in enumerate(short):
            if not one or one in short[:at]:
                raise DataError(
                    f"the category {str(categories[at])!r} has no letters or digits of its own",
                    hint="rename it: parameters are named by them",
                )
        return [f"mu_{one}" for one in short[1:]]

    def _logits(self, eta: Floats, parameters: Parameters) -> Floats:
        """Linear predictors (categories, draws, rows)."""
        others = [one for name, one in parameters.items() if name.startswith("mu_")]
        return np.stack([eta, *(np.broadcast_to(one, eta.shape) for one in others)])

    def curves(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probabilities (categories, draws, rows)."""
        return np.asarray(special.softmax(self._logits(eta, parameters), axis=0))

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``mu_y - log sum_j exp(mu_j)``, y the category's code."""
        logits = self._logits(eta, parameters)
        codes = np.broadcast_to(np.asarray(y).astype(int), eta.shape)
        own = np.take_along_axis(logits, codes[None], axis=0)[0]
        return np.asarray(own - special.logsumexp(logits, axis=0))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """By the reference's predictor: ``[y = 0] - p_0`` and ``-p_0 (1 - p_0)``."""
        chance = self.curves(eta, parameters)[0]
        return np.asarray((np.asarray(y) == 0) - chance), np.asarray(-chance * (1 - chance))

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """Expected code 0, 1, ... of the category: of no meaning but to compare with replicates."""
        chances = self.curves(eta, parameters)
        return np.asarray(np.einsum("k,kdr->dr", np.arange(float(len(chances))), chances))

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Codes 0, 1, ... of categories."""
        below = self.curves(eta, parameters).cumsum(axis=0)[:-1]
        return np.asarray((rng.uniform(size=eta.shape) > below).sum(axis=0))

    def pymc_of_rows(
        self, name: str, eta: Any, parameters: Mapping[str, Any], **options: Any
    ) -> Any:
        """Of the categories' predictors."""
        others = list(parameters.values())
        logits = pt.stack([pt.zeros_like(others[0]), *others], axis=-1)
        return pm.Categorical(name, logit_p=logits, **options)

    def outcome_weights(
        self, scale: str, levels: list[Any]
    ) -> tuple[Floats, Floats, list[Any] | None]:
        """Probabilities of the categories, each a curve of its own."""
        many = len(levels)
        return np.zeros(many), np.eye(many), [str(level) for level in levels]
