"""Priors of single columns of a term, as of one level: ``{"race[black]": "Normal(0, 1)"}``."""

from collections.abc import Mapping, Sequence
from typing import Any

import bambi as bmb
import numpy as np

from causalbias.errors import DataError, shown
from causalbias.models.monotone import is_monotone
from causalbias.models.priors import parse_prior
from causalbias.models.shrinkage import SHRINKAGE

# Names of brms' classes of parameters, and what is written here in their place.
CLASSES = {
    "b": "it is of all coefficients, and the formula has none",
    "(Intercept)": "it is called 'Intercept'",
    "intercept": "it is called 'Intercept'",
    "sd": "give one for each group term, under its name: '1|seed'",
    "cor": "give one under the name of its group: 'cor|seed'",
}


def of_class_b(priors: Mapping[str, str], terms: Mapping[str, Any]) -> dict[str, str]:
    """Write the prior of brms' class "b" out for each term of the population without one.

    A term that is called b has the name for itself. Monotone effects are not shrunk with others.

    Parameters
    ----------
    priors : mapping
        Texts by name, of terms and of single columns.
    terms : mapping
        formulae's terms by name.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> terms = dict.fromkeys(["Intercept", "x", "z"], SimpleNamespace(kind="numeric"))
    >>> of_class_b({"b": "Normal(0, 1)", "z": "Normal(0, 5)"}, terms)
    {'x': 'Normal(0, 1)', 'z': 'Normal(0, 5)'}
    """
    of_all = [] if "b" in terms or "b" not in priors else coefficient_terms(terms)
    if not of_all:
        return dict(priors)
    rest = {name: text for name, text in priors.items() if name != "b"}
    if priors["b"].strip().startswith(tuple(SHRINKAGE)):
        of_all = [name for name in of_all if not is_monotone(terms[name])]
    return dict.fromkeys(of_all, priors["b"]) | rest


def coefficient_terms(terms: Mapping[str, Any]) -> list[str]:
    """Names of formulae's terms that have coefficients, but for the intercept."""
    return [name for name, one in terms.items() if name != "Intercept" and one.kind != "offset"]


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
        if "mo(" in name:
            raise DataError(
                f"a prior of one step of {name}",
                hint=f'give that of the average step, {{"{name}": "Normal(0, 1)"}}, and of the '
                f'shares of the steps, {{"simo_{name}": "Dirichlet(1)"}}',
            )
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
