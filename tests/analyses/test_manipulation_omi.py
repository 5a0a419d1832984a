"""The manipulation analysis of the real experiment against lme4's mixed models."""

import re

import numpy as np
import pytest

import causalbias as cb
from causalbias.analyses.manipulation.analysis import analyse_manipulation

# lme4 1.1-31, R 4.2.2, REML, on the 1,000 pairs of one seed and attribute with level_a == 0 (as
# to_frame(study, "machine") gives them; level_b, seed factors):
#   m <- lmer(distance ~ attribute*factor(level_b) + (1|seed) + (1|seed:attribute), d)
#   X <- model.matrix(~ attribute*level_b, cells)
#   X %*% fixef(m); sqrt(diag(X %*% vcov(m) %*% t(X)))
# (attribute, level_b): cell mean. The standard error of each is 0.012281.
CELL_MEANS = {
    ("age", 1): 0.205644,
    ("age", 2): 0.359942,
    ("attractive", 1): 0.266353,
    ("attractive", 2): 0.447571,
    ("dominant", 1): 0.265349,
    ("dominant", 2): 0.421723,
    ("familiar", 1): 0.351688,
    ("familiar", 2): 0.553941,
    ("gender", 1): 0.223357,
    ("gender", 2): 0.399289,
    ("memorable", 1): 0.249499,
    ("memorable", 2): 0.432046,
    ("outgoing", 1): 0.241836,
    ("outgoing", 2): 0.348716,
    ("smart", 1): 0.254853,
    ("smart", 2): 0.414142,
    ("trustworthy", 1): 0.248434,
    ("trustworthy", 2): 0.376181,
    ("weight", 1): 0.205412,
    ("weight", 2): 0.349491,
}
CELL_SE = 0.012281
MACHINE_SD = {"1|seed:attribute_sigma": 0.0668616, "1|seed_sigma": 0.0393131, "sigma": 0.0390467}


@pytest.fixture(scope="module")
def analysis(omi):
    return analyse_manipulation(cb.load("omi", omi))


@pytest.fixture(scope="module")
def lme4(data_root):
    """Rows of the README's table: condition, level 1, level 2, se, sd(rater), sd(residual)."""
    text = (data_root / "README.md").read_text()
    table = text.split("| condition | level 1 | level 2 | se |")[1].split("\n\n")[0]
    number = r" ([0-9.]+) \|"
    rows = re.findall(r"\| ([a-z]+) \|" + 5 * number, table)
    assert len(rows) == 10
    return {name: [float(value) for value in values] for name, *values in rows}


def test_all_fits_can_be_trusted(analysis):
    assert all(not cb.failures(fit) for fit in analysis.fits.values())
    assert len(analysis.fits) == 11


def test_perceived_changes(analysis, lme4):
    mean = analysis.human["effect"].mean(("chain", "draw"))
    for condition, (first, second, se, _, _) in lme4.items():
        for level, expected in ((1, first), (2, second)):
            ours = float(mean.sel(attribute=condition, level=level))
            assert abs(ours - expected) < 0.15 * se, (condition, level, ours, expected)


def test_spreads_of_raters_and_residuals(analysis, lme4):
    for condition, (*_, rater, residual) in lme4.items():
        # lme4's models have no slopes of raters.
        fit = cb.update(analysis.fits[f"human: {condition}"], "score ~ C(level) + (1|annotator)")
        posterior = fit["posterior"]
        ours = float(posterior["1|annotator_sigma"].mean()), float(posterior["sigma"].mean())
        assert ours == pytest.approx((rater, residual), rel=0.10), condition


def test_intervals_of_perceived_changes_are_those_of_paired_differences(analysis):
    """Every rater gave a score at every level, so that the mean change has a plain paired interval.

    Intercepts of raters alone have standard errors 1.26 to 1.39 times too small in nine of ten.
    """
    sd = analysis.human["effect"].std(("chain", "draw")).sel(level=2)
    for condition, rows in cb.to_frame(analysis.study, "human").groupby("attribute"):
        wide = rows.pivot_table(index="annotator", columns="level", values="score")
        error = (wide[2] - wide[0]).std() / np.sqrt(len(wide))
        assert float(sd.sel(attribute=condition)) == pytest.approx(error, rel=0.12), condition


def test_distances_moved(analysis):
    mean = analysis.machine["prediction"].mean(("chain", "draw")).sel(system="dlib")
    assert dict(mean.sizes) == {"attribute": 10, "level": 2}
    for (attribute, level), expected in CELL_MEANS.items():
        ours = float(mean.sel(attribute=attribute, level=level))
        assert abs(ours - expected) < 0.15 * CELL_SE, (attribute, level, ours, expected)


def test_spread_of_distances_moved(analysis):
    sd = analysis.machine["prediction"].std(("chain", "draw"))
    assert float(sd.mean()) == pytest.approx(CELL_SE, rel=0.10)


def test_spreads_of_seeds(analysis):
    # lme4's model has one sd of the noise.
    posterior = cb.update(analysis.fits["machine: dlib"], sigma=None)["posterior"]
    for name, expected in MACHINE_SD.items():
        assert float(posterior[name].mean()) == pytest.approx(expected, rel=0.10), name


def test_ratio_is_that_of_its_parts(analysis):
    moved = analysis.machine["prediction"].sel(level=2, system="dlib")
    seen = analysis.human["effect"].sel(level=2)
    for attribute in ("outgoing", "familiar"):
        expected = moved.sel(attribute=attribute) / seen.sel(attribute=attribute)
        ours = analysis.ratio["ratio"].sel(attribute=attribute, system="dlib")
        assert ours.values == pytest.approx(expected.values)
    assert (analysis.ratio["n_raters"] == 50).all()
    assert (analysis.ratio["n_edits"] == 50).all()


def test_ranks_are_probabilities(analysis):
    for ranks in analysis.ranks.values():
        assert ranks.sum("rank").values == pytest.approx(1.0)
        assert ranks.sum("attribute").values == pytest.approx(1.0)
    assert float(analysis.ranks["human"].sel(attribute="outgoing", rank=1)) > 0.99


def test_nonmatch_rates_are_counts(analysis, omi):
    machine = cb.to_frame(analysis.study, "machine")
    for row in analysis.nonmatch.itertuples():
        cell = machine[
            machine["same_identity"]
            & (machine["attribute"] == row.attribute)
            & (machine["level_a"] == 0)
            & (machine["level_b"] == row.level)
        ]
        assert row.failures == (cell["distance"] > 0.6).sum()
        assert row.n == len(cell) == 50
