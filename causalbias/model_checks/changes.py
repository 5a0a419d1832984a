"""Changes of a model that answer what a check found, and the line that makes them.

A change is what `update` is given besides the fit: ``{"family": "t"}``, ``{"sigma": "~ race"}``,
``{"formula": ". ~ . + (1|pair)"}``. It is empty where no change of the model is known to help.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from causalbias.models.families import FAMILIES
from causalbias.models.fitted import ModelDesign

Change = Mapping[str, str]
NONE: Change = {}
MAX_SKEWNESS = 0.995  # of a skew-normal distribution (Azzalini 1985)
OF_THE_MEAN = ("lognormal", "gamma")  # families whose spread grows with the mean by itself


def line(change: Change) -> str:
    """The line to paste, of a fit called `fit`; "" if there is nothing to change.

    Examples
    --------
    >>> line({"family": "t", "sigma": "~ race"}), line({})
    ('cb.update(fit, family="t", sigma="~ race")', '')
    """
    given = "".join(f', {name}="{value}"' for name, value in change.items())
    return f"cb.update(fit{given})" if given else ""


def together(changes: Iterable[Change]) -> Change:
    """All changes in one: terms add up, and the first family stays.

    Where spread grows with the mean by the family, whether sigma differs is left to the next check.

    Examples
    --------
    >>> together([{"sigma": "~ race"}, {"family": "t"}, {"sigma": "~ (1|who)"}])
    {'sigma': '~ race + (1|who)', 'family': 't'}
    >>> together([{"formula": ". ~ . + (1|a)"}, {"formula": ". ~ . + (1|b)"}])
    {'formula': '. ~ . + (1|a) + (1|b)'}
    """
    found: dict[str, str] = {}
    for change in changes:
        for name, value in change.items():
            old = found.get(name)
            if old is None:
                found[name] = value
            elif name != "family":
                added = value.split("~", 1)[1].strip().removeprefix(". + ")
                if added not in old.split("~", 1)[1].strip().split(" + "):
                    found[name] = f"{old} + {added}"
    if found.get("family") in OF_THE_MEAN:
        found.pop("sigma", None)
    return found


def term(added: str) -> Change:
    """A term that the formula lacks."""
    return {"formula": f". ~ . + {added}"}


def grouped(factor: str) -> str:
    """The term of a group's own intercepts: text of a term."""
    return f"(1|{factor})"


def written(frame: pd.DataFrame, columns: Iterable[str]) -> str:
    """Columns of few levels as a term with an effect for each of their cells.

    Examples
    --------
    >>> rows = pd.DataFrame({"race": ["black", "white"], "pose": [0, 1]})
    >>> written(rows, ["race", "pose"])
    'race*C(pose)'
    """
    return "*".join(f"C({name})" if frame[name].dtype.kind in "iuf" else name for name in columns)


def by_spread(model: ModelDesign, added: str) -> Change:
    """A formula of what spreads the responses: sigma, or the discrimination of ordinal answers."""
    for name in ("sigma", "kappa", "disc"):
        if name in model.family.with_formula:
            # A part that is there already stays.
            return {name: f"~ . + {added}" if name in model.parts else f"~ {added}"}
    return NONE


def for_tails(model: ModelDesign) -> Change:
    """A family with heavier tails."""
    return {"family": "t"} if _may_become(model, "t") else NONE


def for_skewness(model: ModelDesign, skewness: float) -> Change:
    """A family with as skewed a noise: the first of `skewed_families`."""
    found = skewed_families(model, skewness)
    return {"family": found[0]} if found else NONE


def skewed_families(model: ModelDesign, skewness: float) -> list[str]:
    """Families whose noise may be as skewed, the likeliest first.

    Positive responses with a tail to the right may be lognormal or of a gamma distribution. A
    logarithm would make a tail to the left longer: noise with one is skew-normal. To the right, a
    skewness beyond what a skew-normal distribution can have needs an exponential part.
    """
    names = ["skew_normal"]
    if skewness > 0:
        names.insert(0 if skewness > MAX_SKEWNESS else 1, "exgaussian")
        if (model.response_values > 0).all() and model.family.link.name == "identity":
            names = ["lognormal", "gamma", *names]
    return [name for name in names if _may_become(model, name)]


def _may_become(model: ModelDesign, family: str) -> bool:
    """Whether a model of normal noise may have another family: rows with weights may not."""
    return family in FAMILIES and model.family.normal and model.spec.weights is None
