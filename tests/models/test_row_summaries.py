"""Rows summed up by cells: the posterior of the rows themselves, and no silent loss."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.summaries import summarise
from causalbias.models.summaries.cells import added, cells_of, equal_rows
from causalbias.models.summaries.pieces import over_pieces

FORMULA = "y ~ race + level + (level|seed) + (1|rater)"
SETTINGS = {"draws": 100, "random_seed": 3}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 1200
    frame = pd.DataFrame(
        {
            "race": rng.choice(["b", "a", "c"], n),
            "seed": [f"{i:03d}" for i in rng.integers(0, 20, n)],
            "level": rng.integers(-2, 3, n),
            "rater": rng.integers(1, 12, n),
            "age": rng.normal(40, 10, n).round(3),
            "w": rng.choice([0.5, 1.0, 2.0], n),
            "c": rng.integers(1, 4, n),
        }
    )
    seeds = dict(zip(sorted(set(frame["seed"])), rng.normal(size=20), strict=True))
    frame["y"] = (
        frame["seed"].map(seeds)
        + 0.3 * frame["level"] * (frame["race"] == "a")
        + 0.02 * frame["age"]
        + 0.4 * rng.normal(size=12)[frame["rater"]]
        + rng.normal(size=n)
    )
    return frame


@pytest.fixture(scope="module")
def fitted_rows(rows):
    return cb.fit(FORMULA, rows, **SETTINGS)


def apart(one, other):
    """Largest distance of posterior means, in posterior standard deviations."""
    first, second = (fit["posterior"].to_dataset() for fit in (one, other))
    assert set(first) == set(second)
    found = 0.0
    for name in first:
        xr_one, xr_other = first[name].astype(float), second[name].astype(float)
        assert xr_one.dims == xr_other.dims
        over = ("chain", "draw")
        found = max(found, float((abs((xr_one - xr_other).mean(over)) / xr_one.std(over)).max()))
    return found


def test_rows_that_stand_for_a_cell_have_its_number_means_and_cross_products():
    rng = np.random.default_rng(1)
    keys = {"g": np.repeat([0, 1, 2, 3], [1, 2, 3, 40])}
    values = rng.normal(size=(46, 3)) * [1.0, 100.0, 0.01] + [0.0, 1e4, 0.0]
    cells = cells_of(keys, values)
    cell, count, found = equal_rows(cells)
    assert np.bincount(cell).tolist() == [1, 2, 3, 4]
    for g in range(4):
        own, a = found[cell == g], count[cell == g]
        data = values[keys["g"] == g]
        assert a.sum() == len(data)
        size = data.std(axis=0).max(initial=1e-3)
        assert np.allclose(a @ own / a.sum(), data.mean(axis=0), rtol=1e-12, atol=1e-12 * size)
        gap = own - data.mean(axis=0)
        want = (data - data.mean(axis=0)).T @ (data - data.mean(axis=0))
        scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
        assert np.allclose(
            (gap * a[:, None]).T @ gap, want, rtol=0, atol=1e-9 * scale.max() + 1e-12
        )


def test_sums_of_parts_are_those_of_the_whole_in_any_order_and_far_from_zero():
    rng = np.random.default_rng(2)
    g, values = rng.integers(0, 7, 500), 1e6 + rng.normal(size=(500, 2))
    whole = cells_of({"g": g}, values)
    parts = [cells_of({"g": g[i::9]}, values[i::9]) for i in range(9)]
    empty = cells_of({"g": g[:0]}, values[:0])
    for order in (parts, [empty, *parts[::-1]], [added(parts[:4]), added(parts[4:])]):
        found = added(order)
        assert found.n.tolist() == whole.n.tolist()
        assert np.allclose(found.mean, whole.mean, rtol=1e-14)
        assert np.allclose(found.scatter, whole.scatter, rtol=1e-7)


@pytest.mark.slow
def test_five_sites_parquet_files_and_dask_have_the_posterior_of_the_rows(
    rows, fitted_rows, tmp_path
):
    dask = pytest.importorskip("dask.dataframe")
    mixed = rows.sample(frac=1, random_state=2).reset_index(drop=True)
    sites = []
    for i in range(5):
        part = mixed.iloc[i::5].reset_index(drop=True)
        part.to_parquet(tmp_path / f"part{i}.parquet", row_group_size=100)
        summary = cb.summarise_rows(FORMULA, part, min_rows=1)
        sites.append(cb.save(summary, tmp_path / f"site{i}.nc"))
    rows.iloc[:0].to_parquet(tmp_path / "part5.parquet")
    for data in (tmp_path, str(tmp_path / "part*.parquet"), sites, dask.from_pandas(mixed, 4)):
        found = cb.fit(FORMULA, data, **SETTINGS)
        assert apart(fitted_rows, found) < 1e-8
        assert int(found.attrs["n_rows"]) == len(rows)
        assert found.attrs["failures"] == fitted_rows.attrs["failures"]
    assert "summed up" in str(found)


@pytest.mark.parametrize(
    ("formula", "given"),
    [
        ("y ~ race*level + (1|seed)", {"weights": "w"}),
        ("y ~ race*level + (1|seed)", {"counts": "c"}),
        (["y ~ race + offset(level) + (1|seed)", "sigma ~ race"], {}),
        ("y ~ race*age + (age|seed)", {}),
        ("log(w) ~ race + C(level, Sum) + (1|seed)", {"subset": "level != 2"}),
    ],
)
def test_weights_counts_sigma_slopes_and_logarithms_are_those_of_the_rows(rows, formula, given):
    summary = cb.summarise_rows(formula, rows, min_rows=1, **given)
    one, other = cb.fit(formula, rows, **given, **SETTINGS), cb.fit(formula, summary, **SETTINGS)
    assert apart(one, other) < 1e-8
    for key in ("n_rows", "n_observations", "n_excluded", "subset", "missing"):
        assert one.attrs[key] == other.attrs[key], key


def test_categories_keep_their_order_and_a_level_of_one_file_is_known_in_all(rows, tmp_path):
    frame = rows.assign(race=pd.Categorical(rows["race"], ["z", "c", "a", "b"]))
    one = cb.fit("y ~ race + (1|seed)", frame, **SETTINGS)
    frame[frame["race"] != "a"].to_parquet(tmp_path / "0.parquet")
    frame[frame["race"] == "a"].to_parquet(tmp_path / "1.parquet")
    other = cb.fit("y ~ race + (1|seed)", tmp_path, **SETTINGS)
    assert apart(one, other) < 1e-8
    assert other["posterior"]["race_dim"].values.tolist() == ["a", "b"]
    assert other["posterior"]["seed__factor_dim"].values[0] == "000"


def test_missing_cells_are_refused_with_file_and_row_or_counted(rows, tmp_path):
    frame = rows.copy()
    frame.loc[17, "y"] = np.nan
    frame.loc[[40, 41], "race"] = None
    path = tmp_path / "rows.parquet"
    frame.to_parquet(path, row_group_size=10)
    with pytest.raises(DataError, match=r"rows.parquet, column 'y', row 18: missing"):
        cb.fit("y ~ race", path, **SETTINGS)
    one = cb.fit("y ~ race", frame, missing="drop", **SETTINGS)
    other = cb.fit("y ~ race", path, missing="drop", **SETTINGS)
    assert apart(one, other) < 1e-8
    assert json.loads(other.attrs["missing"]) == {"y": 1, "race": 2}


@pytest.mark.slow
def test_verbs_that_need_no_rows_agree_and_those_that_do_say_what_to_do(rows, fitted_rows):
    found = cb.fit(FORMULA, cb.summarise_rows(FORMULA, rows, min_rows=1), **SETTINGS)
    for verb in (
        lambda fit: cb.effects(fit, "race", by="level", scale="FMR", threshold=1.0),
        lambda fit: cb.predictions(fit, by=["race", "seed"]),
        lambda fit: cb.variance_shares(fit),
        lambda fit: cb.dose(fit, "level", by="race"),
        lambda fit: cb.compare(fit, fit, "race"),
    ):
        one, other = verb(fitted_rows), verb(found)
        for name in one.data_vars:
            if one[name].dtype.kind in "if":
                assert np.allclose(one[name], other[name], rtol=1e-6, atol=1e-8), name
        assert one.attrs.get("rows") == other.attrs.get("rows")
    figures = (cb.plots.pp_check, lambda fit: cb.plots.pp_check(fit, kind="pit"))
    for verb in (cb.check, cb.loo, cb.model_checks.with_predictive, *figures):
        with pytest.raises(DataError, match="rows that were summed up"):
            verb(found)
    less = ". ~ . - (1|rater)"
    assert apart(cb.update(found, less), cb.update(fitted_rows, less)) < 1e-8
    assert apart(cb.update(found, data=rows), fitted_rows) == 0


def test_moments_are_refused_where_values_are_needed(rows):
    formula = "y ~ race*age + (1|seed)"
    summary = cb.summarise_rows(formula, rows)
    assert "means of age" in str(summary)
    found = cb.fit(formula, summary, **SETTINGS)
    for call in (
        lambda: cb.effects(found, "age"),
        lambda: cb.predictions(found, by="age"),
        lambda: cb.effects(found, "race", scale="FMR", threshold=1.0),
        lambda: cb.variance_shares(found),
        lambda: cb.update(found, ". ~ . + I(age**2)"),
        lambda: cb.summarise_rows("y ~ np.log(age)", rows, moments=["age"]),
        lambda: cb.summarise_rows("y ~ age:w", rows, moments=["age", "w"]),
    ):
        with pytest.raises(DataError, match="cross-products"):
            call()
    assert np.isfinite(cb.predictions(found, newdata=cb.datagrid(found, age=[20, 60]))["n"]).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: (f.replace({"race": {"c": "C"}}), FORMULA, {}), "race has the level 'C' in"),
        (lambda f: (f[f["race"] != "c"], FORMULA, {}), "race has the level 'c' in"),
        (lambda f: (f, "y ~ race + level + (1|seed) + (1|rater)", {}), "formula: "),
        (lambda f: (f, FORMULA, {"weights": "w"}), "weights: 'w' in summary 2, and None"),
        (lambda f: (f, FORMULA, {"subset": "level > 0"}), "subset: "),
        (lambda f: (f.astype({"rater": str}), FORMULA, {}), "rater is kept as levels in summary 2"),
        (lambda f: (f, FORMULA, {"moments": ["level"]}), "level is kept as moments in summary 2"),
    ],
)
def test_sites_that_do_not_agree_are_refused_with_what_differs(rows, change, match):
    frame, formula, given = change(rows)
    first = cb.summarise_rows(FORMULA, rows, min_rows=1)
    with pytest.raises(DataError, match=match):
        cb.fit(FORMULA, [first, cb.summarise_rows(formula, frame, min_rows=1, **given)])


def test_a_manifest_gives_every_site_the_same_levels(rows, tmp_path):
    formula = "y ~ race + (1|seed)"
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"formula": formula, "levels": {"race": ["c", "a", "b", "d"]}}))
    parts = [rows[rows["race"] == "c"], rows[rows["race"] != "c"]]
    sites = [cb.summarise_rows(formula, one, levels=path, min_rows=1) for one in parts]
    found = cb.fit(formula, sites, **SETTINGS)
    ordered = rows.assign(race=pd.Categorical(rows["race"], ["c", "a", "b", "d"]))
    assert apart(cb.fit(formula, ordered, **SETTINGS), found) < 1e-8
    again = tmp_path / "again.json"
    again.write_text(sites[0].attrs["manifest"])
    other = cb.summarise_rows(formula, parts[1], levels=again, min_rows=1)
    assert other.identical(sites[1])
    with pytest.raises(DataError, match="'e' is not a level of 'race'"):
        cb.summarise_rows(formula, rows.replace({"race": {"b": "e"}}), levels=path)
    with pytest.raises(DataError, match="that of the manifest"):
        cb.summarise_rows("y ~ race", rows, levels=path)


def test_small_cells_are_refused_and_the_text_says_what_is_revealed(rows):
    with pytest.raises(DataError, match="cells have fewer than 10 rows, such as race"):
        cb.summarise_rows(FORMULA, rows)
    text = str(cb.summarise_rows("y ~ race + (1|seed)", rows))
    assert "60 cells by race (3 levels), seed (20 levels); at least 1" in text
    assert "number of rows, mean of y and sum of squares" in text


def test_what_sums_cannot_stand_for_is_refused(rows, tmp_path):
    summary = cb.summarise_rows("y ~ race + (1|seed)", rows)
    path = tmp_path / "rows.parquet"
    rows.assign(y=rows["y"].astype(str)).to_parquet(path)
    for call, match in (
        (lambda: cb.fit("y ~ race + age", summary), "summed up by race, seed"),
        (lambda: cb.fit("w ~ race", summary), "the response is 'w'"),
        (lambda: cb.fit("y ~ race", summary, family="t"), "Gaussian models only"),
        (lambda: cb.fit("y ~ race", summary, weights="w"), "weights='w'"),
        (lambda: cb.fit("y ~ race", summary, subset="race == 'a'"), "hold no row"),
        (lambda: cb.summarise_rows("y ~ scale(age)", rows), "function of all rows"),
        (lambda: cb.summarise_rows("y ~ s(age)", rows), "function of all rows"),
        (lambda: cb.fit("y ~ race", path), "row 1: '.*' is not a number"),
        (lambda: cb.fit("y ~ sex", path), "the model uses 'sex'"),
        (lambda: cb.fit("y ~ race", tmp_path / "none"), "no Parquet file here"),
        (lambda: cb.fit("y ~ race", []), "is needed here"),
        (lambda: cb.fit("log(y) ~ race", rows.pipe(cb_parquet, tmp_path)), "log.y. is not finite"),
        (lambda: cb.summarise_rows("np.sqrt(w) ~ race", rows), "compute it as a column"),
        (lambda: cb.summarise_rows("y ~ race", rows, levels={"rase": ["a"]}), "levels of 'rase'"),
        (lambda: cb.summarise_rows("y ~ level", rows, levels={"level": [0, 1]}), "is of numbers"),
        (lambda: cb.summarise_rows("y ~ race", rows, moments=["race"]), "which is of levels"),
        (lambda: cb.fit("y ~ race", [summary, summary]), "would count twice"),
    ):
        with pytest.raises(DataError, match=match):
            call()


def cb_parquet(frame, folder):
    path = folder / "plain.parquet"
    frame.to_parquet(path)
    return path


def test_a_damaged_summary_is_refused(rows, tmp_path):
    summary = cb.summarise_rows("y ~ race", rows)
    assert cb.open(cb.save(summary, tmp_path / "one.nc")).identical(summary)
    other = summary.copy()
    other["cells"]["race"] = other["cells"]["race"] + 5
    with pytest.raises(DataError, match="cannot be read"):
        cb.open(cb.save(other, tmp_path / "two.nc"))


def test_a_step_that_is_sent_to_a_worker_and_run_again_changes_nothing(rows, tmp_path, monkeypatch):
    for i in range(3):
        rows.iloc[i::3].to_parquet(tmp_path / f"{i}.parquet", row_group_size=150)
    alone = cb.summarise_rows("y ~ race + age + (1|seed)", tmp_path, min_rows=1)
    times = []

    def lossy(pieces, step, add, what):
        sent = pickle.loads(pickle.dumps(step))
        died = pieces[::2]  # what workers were at
        times.extend(sent(one.source, one.name, one.first_row) for one in died)
        return over_pieces(pieces, sent, add, what)

    monkeypatch.setattr(summarise, "over_pieces", lossy)
    assert cb.summarise_rows("y ~ race + age + (1|seed)", tmp_path, min_rows=1).identical(alone)
    assert len(times) == 2
