"""Residuals of new data: those of penalised least squares, done densely."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.residuals import residuals_of
from causalbias.models.fitted import fitted


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    n = 90
    rows = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "race": rng.choice(["a", "b", "c"], n),
            "g": rng.integers(0, 8, n).astype(str),
            "h": rng.integers(0, 8, n).astype(str),
            "w": rng.uniform(0.2, 4, n),
            "n": rng.integers(1, 4, n),
        }
    )
    rows["y"] = rows["x"] + rng.normal(size=8)[rows["g"].astype(int)] + rng.normal(size=n)
    return rows


def dense(frame, fit, common, groups, weight=1.0):
    """(I - H) by least squares with the penalty as rows: groups are (design, name of the sd)."""
    posterior = fit["posterior"].to_dataset()
    sigma = float(posterior["sigma"].mean())
    root = np.sqrt(np.broadcast_to(weight, len(frame)))[:, None]
    scaled = [z * float(posterior[f"{name}_sigma"].mean()) / sigma for z, name in groups]
    design = np.hstack([common, *scaled])
    width = design.shape[1] - common.shape[1]
    penalty = np.hstack([np.zeros((width, common.shape[1])), np.eye(width)])

    def residuals(y):
        both = np.vstack([design * root, penalty])
        whole = np.concatenate([y * root[:, 0], np.zeros(width)])
        return (whole - both @ np.linalg.lstsq(both, whole)[0])[: len(y)]

    return residuals


def indicators(values):
    return pd.get_dummies(pd.Series(values), dtype=float).to_numpy()


@pytest.mark.parametrize("weighted", [False, True])
def test_slopes_and_weights(frame, weighted):
    given = {"weights": "w"} if weighted else {}
    fit = cb.fit("y ~ x + race + (x||g)", frame, draws=100, **given)
    common = np.column_stack([frame["x"], indicators(frame["race"])])
    z = indicators(frame["g"])
    weight = frame["w"] if weighted else 1.0
    groups = [(z, "1|g"), (z * frame[["x"]].to_numpy(), "x|g")]
    expected = dense(frame, fit, common, groups, weight)
    new = np.random.default_rng(0).normal(size=(3, len(frame))) + 5
    found = residuals_of(fitted(fit), np.arange(len(frame)))(new)
    np.testing.assert_allclose(found, [expected(y) for y in new], atol=1e-6)


def test_members_and_counts(frame):
    fit = cb.fit("y ~ x + (1|mm(g, h))", frame, counts="n", draws=100)
    rows = np.repeat(np.arange(len(frame)), frame["n"])
    written = frame.iloc[rows]
    common = np.column_stack([np.ones(len(written)), written["x"]])
    z = (indicators(written["g"]) + indicators(written["h"])) / 2
    new = np.random.default_rng(0).normal(size=(2, len(written)))
    expected = dense(written, fit, common, [(z, "1|mm(g, h)")])
    np.testing.assert_allclose(
        residuals_of(fitted(fit), rows)(new), [expected(y) for y in new], atol=1e-6
    )


def test_what_the_model_fits_without_a_penalty_leaves_nothing(frame):
    """An offset too, and columns that say the same twice."""
    twice = frame.assign(z=2 * frame["x"])
    fit = cb.fit("y ~ x + z + race + offset(w)", twice, draws=100, tune=200, method="nuts")
    said = 3 * frame["x"] + (frame["race"] == "b") + frame["w"]
    found = residuals_of(fitted(fit), np.arange(len(frame)))(said.to_numpy()[None])
    np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_residuals_have_the_unit_of_the_response(frame, unit):
    new = np.random.default_rng(0).normal(size=(2, len(frame)))
    plain, other = (
        residuals_of(fitted(cb.fit("y ~ x + (x|g)", one, draws=100)), np.arange(len(frame)))
        for one in (frame, frame.assign(y=frame["y"] * unit))
    )
    np.testing.assert_allclose(other(new * unit) / unit, plain(new), atol=1e-3)
