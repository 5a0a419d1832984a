"""What is derived of a fit is made once, and is never that of another fit."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bambi
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from formulae.scanner import Scanner

import causalbias as cb
from causalbias.models import fitted as module
from causalbias.models.fitted import fitted
from causalbias.models.formula import parse


@pytest.fixture(autouse=True)
def forget():
    module._recent.clear()
    parse._parse.cache_clear()


@pytest.fixture
def made(monkeypatch):
    """Texts that formulae read, by us or by bambi, and formulas of the models that bambi made."""
    found = {"texts": [], "models": []}

    def note(cls, key):
        inner = cls.__init__

        def noted(self, first, *args, **kwargs):
            found[key].append(str(first).replace(" ", ""))
            inner(self, first, *args, **kwargs)

        monkeypatch.setattr(cls, "__init__", noted)

    note(Scanner, "texts")
    note(bambi.Model, "models")
    return found


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "g": np.repeat(list("abcdef"), 10),
            "f": np.tile(["low", "high"], 30),
            "x": rng.normal(size=60),
            "w": rng.integers(1, 4, 60),
        }
    )
    frame["y"] = frame["x"] + (frame["f"] == "low") + rng.normal(size=60)
    return frame


def fit_of(frame, formula="y ~ f + x + (1|g)", **options):
    return cb.fit(formula, frame, draws=50, **options)


@pytest.fixture(scope="module")
def fit(rows):
    return fit_of(rows)


def design_of(model):
    """The parts that the cache keeps."""
    return model.bambi


def test_a_second_call_finds_the_same_design(fit):
    assert design_of(fitted(fit)) is design_of(fitted(fit))


def test_a_fit_that_was_saved_and_opened_is_as_the_fit(fit, tmp_path):
    cb.save(fit, tmp_path / "fit.nc")
    opened = cb.open(tmp_path / "fit.nc")
    one, other = fitted(fit), fitted(opened)
    np.testing.assert_array_equal(one.design(one.frame), other.design(other.frame))
    np.testing.assert_array_equal(one.coefficients, other.coefficients)


def test_draws_are_those_of_the_fit_given(fit):
    some = fit.isel(draw=slice(0, 10))
    whole, part = fitted(fit), fitted(some)
    assert design_of(whole) is design_of(part)
    assert part.coefficients.shape == (40, 3)
    kept = whole.coefficients.reshape(4, 50, 3)[:, :10].reshape(40, 3)
    np.testing.assert_array_equal(part.coefficients, kept)
    assert fitted(fit).draws == 200


OTHERS = {
    "other rows": lambda rows: fit_of(rows[:-10]),
    "rows in another order": lambda rows: fit_of(rows[::-1]),
    "a value changed": lambda rows: fit_of(rows.assign(x=rows["x"].where(rows.index > 0, 9.0))),
    "levels in another order": lambda rows: fit_of(
        rows.assign(f=pd.Categorical(rows["f"], ["low", "high"]))
    ),
    "weights": lambda rows: fit_of(rows, weights="w"),
    "counts": lambda rows: fit_of(rows, counts="w"),
    "priors": lambda rows: fit_of(rows, priors={"x": "Normal(0, 1)"}),
    "another formula": lambda rows: fit_of(rows, "y ~ x + f + (1|g)"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_fits_that_differ_have_designs_of_their_own(rows, fit, what):
    one, other = fitted(fit), fitted(OTHERS[what](rows))
    assert design_of(one) is not design_of(other)
    if what == "levels in another order":
        assert one.terms == other.terms
        assert (one.design(one.frame)[:, 1] == 1 - other.design(other.frame)[:, 1]).all()


def test_weights_of_other_values_are_another_design(rows):
    one, other = fit_of(rows, weights="w"), fit_of(rows.assign(w=rows["w"] + 1), weights="w")
    assert design_of(fitted(one)) is not design_of(fitted(other))
    assert fitted(other).frame["w"].min() == fitted(one).frame["w"].min() + 1


def changed(fit, *, value=None, levels=None, spec=None):
    """A copy of the fit whose first x, levels of f or specification are others."""
    tree = xr.DataTree.from_dict({name: one.to_dataset() for name, one in fit.children.items()})
    tree.attrs = dict(fit.attrs) | ({} if spec is None else {"spec": spec})
    data = tree["constant_data"].to_dataset().copy(deep=True)
    if value is not None:
        data["x"][0] = value
    if levels is not None:
        data = data.assign_coords(f__levels=levels)
    tree["constant_data"] = xr.DataTree(data)
    return tree


def test_a_tree_whose_rows_were_changed_by_hand_is_another_fit(fit):
    before, after = fitted(fit), fitted(changed(fit, value=17.0))
    assert not np.array_equal(after.design(after.frame), before.design(before.frame))
    with pytest.raises(cb.DataError, match="of all parameters 'f'"):  # its draws are of "low"
        fitted(changed(fit, levels=["low", "high"]))
    assert design_of(fitted(fit)) is design_of(before)


def test_a_tree_whose_specification_was_changed_by_hand_is_another_fit(fit):
    spec = fit.attrs["spec"].replace("y ~ f + x", "y ~ x + f")
    assert fitted(fit).terms == ["Intercept", "f", "x"]
    assert fitted(changed(fit, spec=spec)).terms == ["Intercept", "x", "f"]


def test_threads_get_the_design_of_their_own_fit(rows, fit):
    fits = [fit, fit_of(rows[:-10])] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: len(fitted(one).frame), fits))
    assert found == [60, 50] * 8


def test_only_the_last_designs_are_kept(fit):
    for value in range(module.KEPT + 3):
        last = fitted(changed(fit, value=float(value)))
    assert len(module._recent) == module.KEPT
    assert design_of(fitted(changed(fit, value=float(value)))) is design_of(last)


def test_of_many_rows_fewer_designs_are_kept(fit, monkeypatch):
    monkeypatch.setattr(module, "KEPT_ROWS", 130)  # two designs of sixty rows
    for value in range(4):
        fitted(changed(fit, value=float(value)))
    assert len(module._recent) == 2
    monkeypatch.setattr(module, "KEPT_ROWS", 10)
    fitted(fit)
    assert [len(one.frame) for one in module._recent.values()] == [60]  # the last always is


def test_what_is_no_fit_is_refused(rows):
    with pytest.raises(cb.DataError, match="a fit"):
        fitted(rows)


VERBS = {
    "predictions": lambda fit: cb.predictions(fit, "f"),
    "effects": lambda fit: cb.effects(fit, "f", by="g"),
    "effects on another scale": lambda fit: cb.effects(fit, "f", scale="FNMR", threshold=0.5),
    "counterfactual": lambda fit: cb.counterfactual(fit, {"f": "low"}, {"f": "high"}),
    "dose": lambda fit: cb.dose(fit, "x", grid=[0.0, 0.5]),
    "variance_shares": cb.variance_shares,
    "prior_sensitivity": lambda fit: cb.model_checks.prior_sensitivity(fit, cb.effects(fit, "f")),
    "sensitivity": lambda fit: cb.sensitivity(
        fit, lambda one: cb.effects(one, "f"), over="g", refit="never"
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_parses_its_formula_once_and_not_again(fit, made, verb):
    VERBS[verb](fit)
    assert made["texts"].count("y~f+x+(1|g)") == 1
    assert len(made["models"]) == 1
    for texts in made.values():
        texts.clear()
    VERBS[verb](fit)
    assert made == {"texts": [], "models": []}


def test_fitting_parses_the_formula_once_and_makes_one_model(rows, made):
    fit_of(rows)
    assert made["texts"].count("y~f+x+(1|g)") == 1
    assert len(made["models"]) == 1


def test_fewer_draws_of_a_fit_parse_nothing_again(fit, made):
    cb.effects(fit, "f")
    for texts in made.values():
        texts.clear()
    cb.effects(fit.isel(draw=slice(0, 10)), "f")
    assert made == {"texts": [], "models": []}


def test_a_comparison_parses_the_formulas_of_both_fits_and_makes_a_model_of_each(rows, fit, made):
    other = fit_of(rows, "y ~ f + (x|g)")
    for one in (module._recent, *made.values()):
        one.clear()
    parse._parse.cache_clear()
    cb.compare(fit, other, "f")
    own = ("y~f+x+(1|g)", "y~f+(x|g)")
    assert [made["texts"].count(text) for text in own] == [1, 1]
    assert len(made["models"]) == 2
    made["texts"].clear()
    cb.compare(fit, other, "f")
    assert not made["texts"]


def test_only_makers_of_models_and_their_readers_know_bambis_objects():
    package = Path(cb.__file__).parent
    traces = re.compile(
        r"^(import|from) bambi\b|\.bambi\b|likelihood\.parent|response_term", re.MULTILINE
    )
    known = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if traces.search(path.read_text("utf-8"))
    }
    assert known == {
        "models/arrays.py",
        "models/bambi_models.py",
        "models/centring.py",
        "models/column_priors.py",
        "models/default_priors.py",
        "models/engines.py",
        "models/fitted.py",
        "models/formula/contrasts.py",
        "models/measured.py",
        "models/monotone.py",
        "models/naming.py",
        "models/nuts_model.py",
        "models/prior_draws.py",
        "models/priors.py",
        "models/shrinkage.py",
    }


PARTS = {
    "a level": lambda fit: fit.isel(f_dim=[0]),
    "a level by its number": lambda fit: fit.isel(f_dim=0),
    "levels in another order": lambda fit: fit.isel(f_dim=[1, 0]),
    "rows": lambda fit: fit.isel(__obs__=slice(0, 20)),
    "a chain by its number": lambda fit: fit.isel(chain=0),
    "a draw by its number": lambda fit: fit.isel(draw=0),
    "no draws": lambda fit: fit.isel(draw=slice(0, 0)),
    "groups": lambda fit: fit.isel(g__factor_dim=slice(0, 3)),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("by", ["f", "g"])
def test_a_part_of_a_fit_is_refused_where_the_rest_is_needed(rows, part, by):
    three = rows.assign(f=np.array(["p", "q", "r"])[np.arange(len(rows)) % 3])
    some = PARTS[part](fit_of(three))
    if part == "groups" and by == "f":  # averages over new groups need none of these
        return
    with pytest.raises(cb.DataError, match=r"of all parameters|levels of g|of the .* rows|has no"):
        cb.predictions(some, by)
