"""The same analysis of another file: other conditions, raters and seeds, unbalanced, known truth.

Beside the truth stands REML by brute force, written out from its definition.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import causalbias as cb
from causalbias import DataError
from causalbias.analyses.manipulation.analysis import (
    analyse_manipulation,
    human_formula,
    nonmatch_rates,
)


def reml(y, design, groupings):
    """Coefficients, their standard errors and the sds (one a grouping, then residual) by REML.

    Minimises -2 log of the restricted likelihood with dense matrices (Searle, Casella, McCulloch
    1992, chapter 6), for a few hundred rows.
    """
    outer = [np.equal.outer(codes, codes).astype(float) for codes in groupings]

    def pieces(log_sd):
        sd = np.exp(log_sd)
        cov = sum(s**2 * z for s, z in zip(sd[:-1], outer, strict=True)) + sd[-1] ** 2 * np.eye(
            len(y)
        )
        chol = np.linalg.cholesky(cov)
        x, r = np.linalg.solve(chol, design), np.linalg.solve(chol, y)
        gram = x.T @ x
        beta = np.linalg.solve(gram, x.T @ r)
        rest = r - x @ beta
        log_det = 2 * np.log(np.diag(chol)).sum() + np.linalg.slogdet(gram)[1]
        return beta, gram, log_det + rest @ rest

    start = np.full(len(outer) + 1, np.log(y.std() / 2))
    best = optimize.minimize(
        lambda at: pieces(at)[2], start, method="Nelder-Mead", options={"xatol": 1e-4}
    )
    assert best.success
    beta, gram, _ = pieces(best.x)
    return beta, np.sqrt(np.diag(np.linalg.inv(gram))), np.exp(best.x)


def noise_by_attribute(analysis):
    """Draws of the noise's sd of each attribute."""
    fit = analysis.fits["machine: net"]
    return cb.predictions(fit, "attribute", parameter="sigma")["prediction"]


@pytest.fixture(scope="module")
def known(tmp_path_factory, write_experiment):
    root = tmp_path_factory.mktemp("pilot")
    truth = write_experiment(root)
    return truth, analyse_manipulation(cb.load("omi", root))


def test_sizes(known):
    _, analysis = known
    assert set(analysis.fits) == {
        "human: smiling",
        "human: beard",
        "human: hair-length",
        "machine: net",
    }
    assert analysis.ratio["n_edits"].sel(system="net").values.tolist() == [50, 45, 40]
    assert analysis.ratio["n_raters"].values.tolist() == [60, 75, 40]
    assert analysis.ratio["attribute"].values.tolist() == ["beard", "hair-length", "smiling"]
    assert all(not cb.failures(fit) for fit in analysis.fits.values())


def test_perceived_changes_are_recovered(known):
    truth, analysis = known
    table = cb.summarise(analysis.human, prob=0.999)
    assert len(table) == len(truth.human)
    for row in table.itertuples():
        assert row.lower < truth.human[row.attribute, row.level] < row.upper
        assert row.sd < 1.5, "an interval that holds everything would prove nothing"


def test_perceived_changes_against_reml(known):
    _, analysis = known
    human = cb.to_frame(analysis.study, "human")
    for attribute, rows in human.groupby("attribute"):
        design = np.column_stack(
            [np.ones(len(rows)), rows["level"] == 1, rows["level"] == 2]
        ).astype(float)
        beta, se, sd = reml(rows["score"].to_numpy(), design, [rows["annotator"].to_numpy()])
        effect = analysis.human["effect"].sel(attribute=attribute).mean(("chain", "draw"))
        assert np.abs(effect.values - beta[1:]).max() < 0.15 * se[1:].min()
        plain = cb.update(analysis.fits[f"human: {attribute}"], "score ~ C(level) + (1|annotator)")
        posterior = plain["posterior"]
        ours = [float(posterior[name].mean()) for name in ("1|annotator_sigma", "sigma")]
        assert ours == pytest.approx(sd, rel=0.10)


def test_distances_are_recovered(known):
    truth, analysis = known
    table = cb.summarise(analysis.machine, prob=0.999)
    for row in table.itertuples():
        assert row.lower < truth.machine[row.attribute, row.level] < row.upper
        assert row.sd < 0.03
    posterior = analysis.fits["machine: net"]["posterior"]
    noise = noise_by_attribute(analysis)
    for draws, value in (
        (posterior["1|seed_sigma"], truth.sd_seed),
        (posterior["1|seed:attribute_sigma"], truth.sd_cell),
        *((noise.sel(attribute=name), truth.sd_distance) for name in noise["attribute"].values),
    ):
        low, high = draws.quantile([0.0005, 0.9995]).values
        assert low < value < high
        assert high < 4 * low


def test_distances_against_reml(known):
    _, analysis = known
    rows = cb.to_frame(analysis.study, "machine").query("same_identity and level_a == 0")
    cells = pd.MultiIndex.from_frame(rows[["attribute", "level_b"]].astype(str))
    names = sorted(cells.unique())
    design = np.column_stack([cells == name for name in names]).astype(float)
    seed = rows["seed"].to_numpy(int)
    cell = rows.groupby(["seed", "attribute"]).ngroup().to_numpy()
    beta, se, sd = reml(rows["distance"].to_numpy(), design, [seed, cell])
    mean = analysis.machine["prediction"].mean(("chain", "draw")).sel(system="net")
    for name, expected, error in zip(names, beta, se, strict=True):
        ours = float(mean.sel(attribute=name[0], level=int(name[1])))
        assert abs(ours - expected) < 0.15 * error, name
    posterior = analysis.fits["machine: net"]["posterior"]
    ours = [float(posterior[name].mean()) for name in ("1|seed_sigma", "1|seed:attribute_sigma")]
    ours.append(float(noise_by_attribute(analysis).mean()))
    assert ours == pytest.approx(sd, rel=0.10)


def test_ratio_holds_the_truth(known):
    truth, analysis = known
    table = cb.summarise(analysis.ratio, prob=0.999).set_index("attribute")
    for attribute in ("smiling", "beard", "hair-length"):
        value = truth.machine[attribute, 2] / truth.human[attribute, 2]
        assert table.loc[attribute, "lower"] < value < table.loc[attribute, "upper"]


def test_without_threshold_there_are_no_nonmatch_rates(known):
    assert known[1].nonmatch.empty


def test_nonmatch_rates_against_counts_by_hand():
    study = cb.demo_study()
    table = nonmatch_rates(study, prob=0.9)
    values, pairs = study["machine"]["distance"].values[0], study["pairs"]
    assert len(table) == 8
    for row in table.itertuples():
        chosen = [
            float(distance)
            for distance, a, b, attribute, low, high in zip(
                values,
                pairs["seed_a"].values,
                pairs["seed_b"].values,
                pairs["attribute_a"].values,
                pairs["level_a"].values,
                pairs["level_b"].values,
                strict=True,
            )
            if a == b and attribute == row.attribute and (low, high) == (0, row.level)
        ]
        k, n = sum(d > 0.6 for d in chosen), len(chosen)
        assert (row.failures, row.n, row.rate) == (k, n, pytest.approx(k / n))
        assert row.lower <= row.rate <= row.upper
        if k == 0:
            assert row.lower == 0
            assert row.upper == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-5)
        elif k < n:  # Clopper and Pearson's
            low, high = stats.beta.ppf([0.05, 0.95], [k, k + 1], [n - k + 1, n - k])
            assert (row.lower, row.upper) == pytest.approx((low, high), rel=1e-5)
    assert table["failures"].sum() > 0
    assert (table["failures"] == 0).any()


def test_study_that_is_no_manipulation_experiment():
    judgements = pd.DataFrame({"question": "q", "seed": [1, 2], "score": [0.0, 1.0]})
    study = cb.make_study(factors=["seed"], judgements=judgements, scales=(0, 1))
    with pytest.raises(DataError, match="attribute, level"):
        analyse_manipulation(study)


def test_same_seed_same_answer(tmp_path, write_experiment):
    write_experiment(tmp_path)
    (tmp_path / "embeddings_net_validation_pilot.npz").unlink()
    study = cb.load("omi", tmp_path)
    one, two, other = (
        analyse_manipulation(study, draws=100, random_seed=seed).human for seed in (3, 3, 4)
    )
    assert one.identical(two)
    assert not one["effect"].equals(other["effect"])


def test_raters_who_see_more_or_less_change_do_not_make_intervals_too_narrow():
    """With intercepts of raters alone a check fails, and the interval is too narrow."""
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"annotator": np.repeat(np.arange(80), 3), "level": np.tile([0, 1, 2], 80)})
    start, steepness = rng.normal(40, 6, 80)[rows["annotator"]], rng.normal(7, 4, 80)
    rows["score"] = start + steepness[rows["annotator"]] * rows["level"] + rng.normal(0, 2, 240)
    fit = cb.fit(human_formula(rows), rows, draws=500)
    assert cb.check(fit).attrs["verdict"] == "pass"
    plain = cb.update(fit, "score ~ C(level) + (1|annotator)")
    assert cb.check(plain).attrs["verdict"] == "fail"
    wide = rows.pivot_table(index="annotator", columns="level", values="score")
    error = (wide[2] - wide[0]).std() / np.sqrt(80)  # of the mean paired difference
    sd, narrow = (
        float(cb.effects(one, "level")["effect"].sel(level=2).std()) for one in (fit, plain)
    )
    assert sd == pytest.approx(error, rel=0.1)
    assert narrow < 0.85 * error
