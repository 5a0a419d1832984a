"""Fit a model again with something changed, as R's and brms' ``update`` do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import mapping_in, name_in, need_fit, need_rows
from causalbias.errors import DataError
from causalbias.models.engines import Sampling
from causalbias.models.families import FAMILIES
from causalbias.models.fit import fit_spec
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.limits import Limits
from causalbias.models.formula.parse import flat_formula
from causalbias.models.formula.parts import Formula, as_formula, formula_part, one_formula
from causalbias.models.rerun import refit, settings_of
from causalbias.models.result import Fit, frame_with_others, spec_of
from causalbias.models.specification import ModelSpec, data_columns_of, family_of
from causalbias.models.summaries.tree import counts_of_data, response_text

# A dot that stands for what was there: none of a number or of a name such as `np.log`.
DOT = re.compile(r"(?<![\w.`)\]])\.(?![\w.`(])")
OF_SPEC = ("family", "link", "priors", "counts", "weights")
OF_ROWS = ("subset", "missing")
OF_SAMPLING = tuple(one.name for one in fields(Sampling))


def update(
    fit: xr.DataTree,
    formula: str | Formula | Sequence[str] | None = None,
    data: xr.DataTree | pd.DataFrame | None = None,
    **changed: Any,
) -> Fit:
    """Fit a model again with something changed: its formula, family, priors, rows or sampling.

    Parameters
    ----------
    fit : Fit
        The fitted model; what is not given is as in it.
    formula : str, Formula or list of str, optional
        The new formula. In a text, a dot stands for what was there, as in R's ``update``:
        ``". ~ . + (1|pair)"`` adds a term, ``". ~ . - pose"`` and ``". ~ . - (1|seed)"`` take one
        away. One text leaves the formulas of further parameters as they are; a `Formula` or a
        list of texts replaces all.
    data : Study or DataFrame, optional
        New rows; those that the fit's `subset` names are used. By default the rows that the fit
        holds. They have the columns of its formula, and others by which rows could be grouped,
        whose texts are numbered in the order of the rows ("#1", "#2", ...): give the data for
        more, and for their labels.
    **changed
        Arguments of `fit`, such as ``family="beta"`` or ``draws=2000``; `subset` and `missing` with
        `data` only.
        And formulas of parameters of the family by name, as in `formula`: ``sigma="~ race"``, with
        a dot for what was there, or ``sigma=None`` for a parameter that is one number again.
        Priors stay but for those of a parameter that gets or loses a formula. With another family
        or formula the engine is chosen anew, and with another family the link is its default,
        unless they are given.

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If a column is not among the rows, an argument is unknown, and as `fit`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level", study, subset="question == 'age'", draws=100)
    >>> again = cb.update(fit, ". ~ . + (1|annotator)", study)
    >>> cb.summary(again).index.tolist()
    ['sd(1|annotator)', 'Intercept', 'level', 'sigma']
    """
    need_fit(fit)
    old = spec_of(fit)
    spec = _changed_spec(old, formula, changed)
    method, settings = settings_of(fit)
    if (spec.family, spec.formulas) != (old.family, old.formulas):
        method = "auto"
    method = changed.get("method", method)
    settings = replace(settings, **{one: changed[one] for one in OF_SAMPLING if one in changed})
    if data is not None:
        need_rows(data)
        if spec.rows is not None:  # of the sums that the fit is of
            own = changed.get("counts", counts_of_data(old))
            spec = replace(spec, rows=None, moments=(), counts=own)
        subset = changed.get("subset", fit.attrs["subset"] or None)
        missing = changed.get("missing", fit.attrs.get("missing_rows", "refuse"))
        return fit_spec(
            spec, data, subset=subset, missing=missing, method=method, settings=settings
        )
    for name in OF_ROWS:
        if name in changed:
            raise DataError(f"{name}= of no data", hint="give the data too: data=study")
    if old.rows is not None:
        spec = _of_same_sums(old, spec, changed)
    frame = frame_with_others(fit)
    if lacking := [name for name in data_columns_of(spec) if name not in frame]:
        raise DataError(
            f"the fit holds no column {lacking[0]!r}",
            hint="give the study or table that has it: cb.update(fit, ..., data=study)",
            column=lacking[0],
        )
    return refit(fit, frame, spec=spec, method=method, settings=settings)


def _of_same_sums(old: ModelSpec, spec: ModelSpec, changed: Mapping[str, Any]) -> ModelSpec:
    """The specification for rows that stand for the sums of others, with what holds for these.

    Raises
    ------
    DataError
        If the response, counts or weights are others than those of the sums.
    """
    known = {"counts": counts_of_data(old), "weights": old.weights}
    for name, own in known.items():
        if name in changed and changed[name] != own:
            raise DataError(
                f"{name}={changed[name]!r}, and the rows were summed up with {name}={own!r}",
                hint=f"summarise the rows again with {name}={changed[name]!r}, and fit that",
            )
    if family_of(old).normal and not family_of(spec).normal:
        raise DataError(
            f"family={spec.family!r}, and the rows were summed up for a Gaussian model",
            hint=f"summarise the rows again with family={spec.family!r}, and fit that",
        )
    then, now = response_text(old), response_text(spec)
    if now != then:
        raise DataError(
            f"the response is {now!r}, and the rows were summed up for {then!r}",
            hint="summarise the rows again by this formula, and fit that",
        )
    return replace(spec, counts=old.counts)


def _changed_spec(
    old: ModelSpec, written: str | Formula | Sequence[str] | None, changed: Mapping[str, Any]
) -> ModelSpec:
    own = {name: changed[name] for name in OF_SPEC if name in changed}
    if "family" in own:
        name_in(own["family"], "family", *FAMILIES)
        if own["family"] != old.family:
            own.setdefault("link", None)
    if "priors" in own:
        own["priors"] = dict(own["priors"] or {})
        mapping_in(own["priors"], "priors", 'a prior by term: {"race": "Normal(0, 1)"}')
    text, parts, limits = _formulas(old, written)
    for name in set(changed) - {*OF_SPEC, *OF_SAMPLING, "method", *OF_ROWS}:
        given = changed[name]
        if given is None:
            parts.pop(name, None)
        elif isinstance(given, str):
            parts[name] = formula_part(name, _part_with_dots(given, parts.get(name, "1")))
        else:
            raise DataError(
                f"{name} is {given!r}",
                hint=f'write the formula of a parameter as a text: {name}="~ race"',
            )
    spec = replace(old, formula=text, parts=parts, limits=limits, **own)
    if "priors" in own:
        return spec
    gone = tuple(f"{name}_" for name in old.parts if name not in parts)
    kept = {k: v for k, v in old.priors.items() if k not in parts and not k.startswith(gone)}
    return replace(spec, priors=kept)


def _formulas(
    old: ModelSpec, written: str | Formula | Sequence[str] | None
) -> tuple[str, dict[str, str], Limits]:
    """The response's formula, the parts, and the limits of the response, dots filled in."""
    if written is None:
        return old.formula, dict(old.parts), old.limits
    if isinstance(written, str):
        found = one_formula(written)
        text = _formula_with_dots(found.text, old.formula)
        return text, dict(old.parts) | dict(found.parts), found.limits or old.limits
    if not isinstance(written, Formula) and all(isinstance(one, str) for one in written):
        texts = [_formula_with_dots(one, old.formula) for one in written[:1]]
        for one in written[1:]:
            name = one.split("~", 1)[0].strip()
            texts.append(_part_with_dots(one, old.parts.get(name, "1")))
        written = texts
    found = as_formula(written)
    return found.text, dict(found.parts), found.limits or old.limits


def _part_with_dots(text: str, old: str) -> str:
    left, tilde, right = text.partition("~")
    return f"{left}~ {_with_dots(right, old)}" if tilde else text


def _formula_with_dots(text: str, old: str) -> str:
    left, tilde, right = text.partition("~")
    before, _, after = old.partition("~")
    if not tilde:
        raise DataError(f"no tilde in {text!r}", hint="write it as . ~ . + (1|pair)")
    response = DOT.sub(lambda _: before.strip(), left).strip() or before.strip()
    return f"{response} ~ {_with_dots(right, after)}"


def _with_dots(text: str, old: str) -> str:
    """The text with the old right side for each dot, multiplied out where terms are taken away.

    Examples
    --------
    >>> _with_dots(". + w - (1|g) - x", "x + (1|g) + (1|h)")
    '1 + w + (1|h)'
    """
    whole = DOT.sub(lambda _: old.strip(), text).strip()
    if "-" not in text:
        return whole
    groups: list[str] = []
    for part in group_parts(whole):
        written = whole[part.start : part.end]
        same = [one for one in groups if one.replace(" ", "") == written.replace(" ", "")]
        if not whole[: part.start].rstrip().endswith("-"):
            groups.append(written)
        elif same:
            groups.remove(same[0])
        else:
            raise DataError(f"{written} is not in the formula", hint=f"it has {old}")
    for part in reversed(group_parts(whole)):
        before = whole[: part.start].rstrip()
        whole = f"{before[:-1] if before.endswith(('+', '-')) else before}{whole[part.end :]}"
    left = whole.strip().removeprefix("+") or "1"
    flat = flat_formula(f"response__ ~ {left}").partition("~")[2].strip()
    return " + ".join([flat, *groups])
