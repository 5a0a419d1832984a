"""Priors of single columns of a term, as of one level: ``{"race[black]": "Normal(0, 1)"}``."""

from collections.abc import Mapping, Sequence
from typing import Any

import bambi as bmb
import numpy as np

from causalbias.errors import DataError, shown
from causalbias.models.priors import parse_prior

# Names of brms' classes of parameters, and what is written here in their place.
CLASSES = {
    "b": "give one for each term, under its name",
    "(Intercept)": "it is called 'Intercept'",
    "intercept": "it is called 'Intercept'",
    "sd": "give one for each group term, under its name: '1|seed'",
    "cor": "give one under the name of its group: 'cor|seed'",
}


def of_one_column(
    priors: Mapping[str, str], terms: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Tell priors of whole terms from those of single columns.

    Parameters
    ----------
    priors : mapping
        Texts by name, ``"race"`` or ``"race[black]"``.
    terms : mapping
        formulae's terms by name.

    Returns
    -------
    whole : dict
    single : dict
        By term, the texts by the column's label.
    """
    whole: dict[str, str] = {}
    single: dict[str, dict[str, str]] = {}
    for name, text in priors.items():
        term, bracket, label = name.partition("[")
        if name not in terms and bracket and label.endswith("]") and term in terms:
            single.setdefault(term, {})[label[:-1]] = text
        else:
            whole[name] = text
    return whole, single


def check_known_terms(priors: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuse a prior of what is no term and no parameter.

    Raises
    ------
    DataError
        That lists those that are.
    """
    for name in priors:
        if name not in known and "|" not in name:
            told = f"{CLASSES[name]}; " if name in CLASSES else ""
            raise DataError(
                f"a prior of {shown(name)}, which the model has not",
                hint=f"{told}use one of {', '.join(known)} (cb.get_prior lists all)",
            )


def set_columns(model: bmb.Model, single: Mapping[str, Mapping[str, str]]) -> None:
    """Give single columns of a model's terms their priors, which are Normal; in place.

    Raises
    ------
    DataError
        If a term has no such column, or a prior, or that of the term's other columns, is not
        Normal.
    """
    component = model.parameters[model.family.likelihood.parent]
    for name, texts in single.items():
        term = component.terms.get(name)
        labels = [] if term is None else [str(one) for one in next(iter(term.coords.values()), [])]
        for label, text in texts.items():
            if label not in labels:
                raise DataError(
                    f"a prior of {shown(f'{name}[{label}]')}, which the model has not",
                    hint=f"use {name}, or one of {', '.join(f'{name}[{one}]' for one in labels)}"
                    if labels
                    else f"use {name}",
                )
            prior = parse_prior(text, name)
            if prior.name != "Normal" or term.prior.name != "Normal":
                raise DataError(
                    f"the prior of {name}[{label}] is {text}, of its term {term.prior.name}",
                    hint="a prior of one column is Normal, and so are those of the others",
                )
            numbers = {
                key: np.array(np.broadcast_to(np.asarray(term.prior.args[key], float), len(labels)))
                for key in ("mu", "sigma")
            }
            for key, values in numbers.items():
                values[labels.index(label)] = float(prior.args[key])
            term.prior = bmb.Prior("Normal", auto_scale=False, **numbers)
