"""Which sources of variance are of pairs, and effects per standard deviation of them."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.estimands.pair_spread import pair_spread
from causalbias.models.fitted import fitted

DRAWS = 100


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    n = 120
    pair = np.arange(n) % 40
    return pd.DataFrame(
        {
            "race": np.where(pair % 2, "a", "b"),
            "seed": [f"s{k % 8}" for k in pair],
            "pair": [f"p{k:02d}" for k in pair],
            "annotator": [f"r{k}" for k in rng.integers(0, 6, n)],
            "rater_id": [f"r{k}" for k in rng.integers(0, 6, n)],
            "score": rng.integers(0, 3, n),
            "distance": rng.normal(size=n),
        }
    )


def made(fit_at, rows, groups, *, people=False, seed=2):
    """A fit of given draws, with group terms of these factors; and its draws."""
    rng = np.random.default_rng(seed)
    draws = {"race": rng.normal(0.5, 0.1, (DRAWS, 1))}
    dims = {}
    for name in groups:
        levels = rows[name.split(":")[0]].str.cat([rows[k] for k in name.split(":")[1:]], sep=":")
        levels = np.array(sorted(set(levels)))
        draws[f"1|{name}"] = rng.normal(0, 0.3, (DRAWS, len(levels)))
        draws[f"1|{name}_sigma"] = rng.uniform(0.2, 0.9, DRAWS)
        dims[f"1|{name}"] = (f"{name}__factor_dim", levels)
    if people:
        draws["threshold"] = rng.normal([-1, 1], 0.1, (DRAWS, 2))
    else:
        draws |= {"Intercept": rng.normal(size=DRAWS), "sigma": rng.uniform(0.4, 0.6, DRAWS)}
    formula = " + ".join(
        [("score" if people else "distance") + " ~ race", *(f"(1|{name})" for name in groups)]
    )
    options = {"family": "cumulative", "link": "probit"} if people else {}
    return fit_at(formula, rows, draws, dims=dims, **options), draws


@pytest.mark.parametrize(
    ("groups", "people", "columns", "sources"),
    [
        (["seed"], False, ["seed"], ("seed", "residual")),
        ([], False, [], ("residual",)),
        (["pair"], False, ["pair"], ("pair",)),
        (["seed", "pair"], False, ["seed", "pair"], ("seed", "pair")),
        (["annotator", "pair"], True, ["annotator", "pair"], ("pair",)),
        (["rater_id", "seed", "pair"], True, ["rater_id", "seed", "pair"], ("seed", "pair")),
        (["seed", "annotator:seed"], True, ["seed", "annotator"], ("seed",)),
    ],
)
def test_pairs_differ_by_what_is_shown_and_not_by_who_answers(
    fit_at, rows, groups, people, columns, sources
):
    kept = rows[["race", "score" if people else "distance", *columns]]
    fit, draws = made(fit_at, kept, groups, people=people)
    found = pair_spread(fitted(fit))
    assert found.sources == sources
    variance = sum(
        np.square(draws["sigma" if name == "residual" else f"1|{name}_sigma"]) for name in sources
    )
    other, _ = made(fit_at, rows[["race", "distance"]], [])
    ours = cb.compare(fit, other, "race", reference="a").sel(unit="pair sd", race="b")
    expected = draws["race"][:, 0] / np.sqrt(variance)
    np.testing.assert_allclose(np.sort(ours["effect_a"].values.ravel()), np.sort(expected))
    assert ours.attrs["between_a"] == ", ".join(sources)
    assert ours.attrs["between_b"] == "residual"


@pytest.mark.parametrize(
    ("groups", "columns", "told"),
    [
        (["annotator"], ["annotator"], "no term of score ~ race"),
        ([], [], "no term of score ~ race"),
    ],
)
def test_without_a_term_of_pairs_only_that_unit_is_missing(fit_at, rows, groups, columns, told):
    people, _ = made(fit_at, rows[["race", "score", *columns]], groups, people=True)
    network, _ = made(fit_at, rows[["race", "distance"]], [])
    found = cb.compare(people, network, "race")
    lacks = found["difference"].isnull().all(["chain", "draw", "race"])
    assert found["unit"].values[lacks.values].tolist() == ["pair sd"]
    assert told in found.attrs["no_pair_sd"]
    assert not found["estimable"].sel(unit="pair sd").any()
    figure = cb.plots.comparison(found)  # in the first unit that there is
    assert figure.axes[0].get_xlabel() == "effect (residual sd)"


def test_answers_that_repeat_within_pairs_need_a_term_of_pairs(rows):
    fit = cb.fit("score ~ race + (1|seed)", rows, family="cumulative", draws=100)
    with pytest.raises(DataError, match=r"noise of answers.*with \(1\|annotator\) and \(1\|pair\)"):
        pair_spread(fitted(fit))


def test_means_of_answers_have_a_residual_of_pairs_and_of_noise(rows):
    means = rows.groupby(["race", "seed", "pair"], as_index=False)["score"].mean()
    fit = cb.fit("score ~ race + (1|seed)", means.drop(columns="pair"), draws=100)
    with pytest.raises(DataError, match="from the noise of answers"):
        pair_spread(fitted(fit))


def test_sources_can_be_named(fit_at, rows):
    network, draws = made(fit_at, rows[["race", "distance", "seed", "pair"]], ["seed", "pair"])
    other, _ = made(fit_at, rows[["race", "distance"]], [])
    given = (["seed", "residual"], "residual")
    found = cb.compare(network, other, "race", between=given).sel(unit="pair sd")
    expected = draws["race"][:, 0] / np.hypot(draws["1|seed_sigma"], draws["sigma"])
    ours = abs(found["effect_a"].values.ravel())
    np.testing.assert_allclose(np.sort(ours), np.sort(abs(expected)))
    for wrong, told in (
        ((["face"], "residual"), "no source of variance 'face'.*seed, pair, residual"),
        (([], "residual"), "no source of variance is named"),
        ("pair", "give two"),
    ):
        with pytest.raises(DataError, match=told):
            cb.compare(network, other, "race", between=wrong)


def test_the_effect_in_pairs_does_not_depend_on_the_noise_of_answers():
    """The truth is 1; in units of the noise of an answer it differs eightfold."""
    rng = np.random.default_rng(3)
    race = np.repeat(["a", "b"], 60)
    likeness = 1.0 * (race == "b") + rng.normal(size=120)
    effects = {}
    for noise in (0.4, 3.0):
        pair = np.repeat(np.arange(120), 8)
        heard = likeness[pair] + noise * rng.normal(size=len(pair))
        rows = pd.DataFrame(
            {
                "race": race[pair],
                "pair": [f"p{k:03d}" for k in pair],
                "annotator": [f"r{k}" for k in rng.integers(0, 20, len(pair))],
                "score": np.searchsorted(np.hypot(1, noise) * np.array([-1, 0.0, 1, 2]), heard),
            }
        )
        people = cb.fit(
            "score ~ race + (1|annotator) + (1|pair)", rows, family="cumulative", draws=250
        )
        network = cb.fit("distance ~ race", pd.DataFrame({"race": race, "distance": -likeness}))
        found = cb.compare(people, network, "race", opposite=True, reference="a")
        effects[noise] = found["effect_a"].sel(race="b")
        zero = cb.summarise(found.sel(unit=["pair sd"]))
        assert zero["lower"].item() < 0 < zero["upper"].item()
    own, single = (
        [float(one.sel(unit=unit).median()) for one in effects.values()]
        for unit in ("pair sd", "residual sd")
    )
    assert abs(own[0] / own[1]) == pytest.approx(1, abs=0.35)
    assert abs(single[0] / single[1]) > 4
