"""Rows summed up by cells: the posterior of the rows themselves, and no silent loss."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.errors import DataError
from causalbias.estimands.pair_spread import pair_spread
from causalbias.models.fitted import fitted
from causalbias.models.rows import kinds_of
from causalbias.models.summaries import pieces, summarise, sums
from causalbias.models.summaries.cells import added, cells_of, equal_rows
from causalbias.models.summaries.pieces import over_pieces
from causalbias.study.frames import frame_between

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


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "uint64", "float64"])
def test_cells_are_those_of_pandas_whatever_the_type_of_their_keys(kind):
    rng = np.random.default_rng(4)
    largest = 1 if kind in ("int8", "uint8") else 2**45
    keys = {
        "a": (largest * rng.integers(0, 100, 500)).astype(kind),
        "b": rng.integers(-128, 128, 500).astype("int8"),
        "c": rng.integers(0, 3, 500),
    }
    told = pd.DataFrame(keys).groupby(["a", "b", "c"]).size()
    found = cells_of(keys, np.empty((500, 0)))
    assert found.n.tolist() == told.tolist()
    for name, values in found.keys.items():
        assert values.dtype == keys[name].dtype
        assert values.tolist() == told.index.get_level_values(name).tolist()


def test_pieces_alike_are_read_once_others_twice_and_sums_are_those_by_known_levels(
    rows, tmp_path, monkeypatch
):
    first, second = rows[:700], rows[700:]
    many = pd.Series(np.arange(len(second)) % 300 / 4, second.index)
    cases = {  # formula, files, how often each is read
        "alike": ("y ~ race + level + (1|seed)", first, second, (1, 1)),
        "levels": (  # that one file has alone, in its own order, and texts for missing cells
            "y ~ race + (1|seed)",
            first[first["race"] != "a"].replace({"race": {"c": "NA"}}),
            second.assign(race=second["race"].replace({"b": "e"}), seed=second["seed"] + "x"),
            (1, 1),
        ),
        "truth": ("y ~ old", first.assign(old=first["age"] > 40), second.assign(old=True), (1, 1)),
        "moments": ("y ~ age + race", first, second, (1, 1)),
        "few": ("y ~ level + race", first, second.assign(level=many), (2, 1)),
        "products": ("y ~ age:level", first, second.assign(level=many), (2, 1)),
        "wrong": (
            "y ~ race",
            first,
            second.assign(y=second["y"].mask(second.index == 800)),
            (1, 2),
        ),
        "none": ("y ~ race + level", first, second.assign(level=None), (1, 1)),
    }
    times = []
    monkeypatch.setattr(sums, "read", lambda *given: times.append(given[1]) or pieces.read(*given))
    for name, (formula, *parts, often) in cases.items():
        (tmp_path / name).mkdir()
        for at, part in enumerate(parts):
            part.to_parquet(tmp_path / name / f"{at}.parquet")
        given = {"missing": "refuse" if name == "wrong" else "drop", "min_rows": 1}
        times.clear()
        if name == "wrong":
            with pytest.raises(DataError, match=r"1.parquet, column 'y', row 101: missing"):
                cb.summarise_rows(formula, tmp_path / name, **given)
        else:
            once = cb.summarise_rows(formula, tmp_path / name, **given)
            assert [sum(f"{at}.p" in one for one in times) for at in (0, 1)] == list(often), name
            with monkeypatch.context() as known:
                known.setattr(summarise, "by_levels", lambda *_: (None, set()))
                twice = cb.summarise_rows(formula, tmp_path / name, **given)
            xr.testing.assert_allclose(
                once["cells"].to_dataset(), twice["cells"].to_dataset(), rtol=1e-12
            )
            assert once.attrs == twice.attrs, name
            n = sum(len(part.dropna(subset=["y"])) for part in parts)
            assert json.loads(once.attrs["tally"])["rows"] <= n


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


def test_a_study_on_disk_is_read_in_parts(tmp_path, monkeypatch):
    study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    cb.save(study, tmp_path / "study.zarr")
    sizes = []

    def part(*given):
        found = frame_between(*given)
        sizes.append(len(found))
        return found

    models = {
        "distance ~ race*gender + (1|seed)": "same_identity and system == 'ResNet-34'",
        "score ~ race + gender + (1|annotator)": "question == 'identity'",
    }
    lazy = cb.open(tmp_path / "study.zarr", lazy=True)
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(pieces, "frame_between", part)
    for formula, subset in models.items():
        one, other = (
            cb.summarise_rows(formula, data, subset=subset, missing="drop", min_rows=1)
            for data in (study, lazy)
        )
        xr.testing.assert_allclose(one["cells"].to_dataset(), other["cells"].to_dataset())
        assert one.attrs == other.attrs
        assert len(sizes) > 4
        assert max(sizes) <= 100
        sizes.clear()
    formula, subset = next(iter(models.items()))
    fits = [cb.fit(formula, data, subset=subset, **SETTINGS) for data in (study, lazy)]
    assert apart(*fits) < 1e-8
    assert len(sizes) > 4


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
        (lambda: cb.fit("y ~ race", summary, family="t"), "for Gaussian models and counted for"),
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


def test_counts_may_be_a_predictor_too(rows):
    for formula in ("y ~ race + c", "y ~ race + (1|c)"):
        one = cb.fit(formula, rows, counts="c", **SETTINGS)
        summary = cb.summarise_rows(formula, rows, counts="c", min_rows=1)
        other = cb.fit(formula, summary, **SETTINGS)
        assert apart(one, other) < 1e-8
        assert one.attrs["n_observations"] == other.attrs["n_observations"]
    less = cb.update(other, "y ~ race")
    assert apart(cb.update(one, "y ~ race"), less) < 1e-8
    assert apart(cb.update(other, data=rows), one) == 0


def test_an_update_of_sums_takes_no_other_response_counts_or_weights(rows):
    frame = rows.assign(y=np.exp(rows["y"] / 3))
    found = cb.fit(
        "y ~ race + c", cb.summarise_rows("y ~ race + c", frame, counts="c", min_rows=1), **SETTINGS
    )
    for call, match in (
        (lambda: cb.update(found, "log(y) ~ ."), r"the response is 'log\(y\)'.* for 'y'"),
        (lambda: cb.update(found, "c ~ race"), "the response is 'c'"),
        (lambda: cb.update(found, counts=None), "counts=None, and .* with counts='c'"),
        (lambda: cb.update(found, weights="c"), "weights='c', and .* with weights=None"),
    ):
        with pytest.raises(DataError, match=match):
            call()
    assert apart(cb.update(found, counts="c"), found) == 0


def test_hidden_files_repeated_files_and_partitions_are_no_rows(rows, tmp_path):
    part = rows[["race", "y"]].head(60)
    folder = tmp_path / "rows"
    for name in ("a.parquet", "b.parquet/part.0.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(folder / name)
    for name in (
        ".ipynb_checkpoints/a-checkpoint.parquet",
        "_temporary/0/a.parquet",
        "._a.parquet",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(folder / name)
    for data in (folder, str(folder / "*.parquet"), str(folder / "**" / "*.parquet")):
        found = cb.summarise_rows("y ~ race", data, min_rows=1)
        assert json.loads(found.attrs["tally"])["rows"] == 120
    one = folder / "a.parquet"
    for data in ([one, str(one)], [folder, one], [folder, folder / "." / ".." / "rows"]):
        with pytest.raises(DataError, match=r"the same file as .*a.parquet: its rows would count"):
            cb.fit("y ~ race", data)
    for kind in ("True", "False"):
        (tmp_path / "hive" / f"same_identity={kind}").mkdir(parents=True)
        part.to_parquet(tmp_path / "hive" / f"same_identity={kind}" / "x.parquet")
    for data in (tmp_path / "hive", str(tmp_path / "hive" / "*" / "*.parquet")):
        with pytest.raises(DataError, match=r"directory 'same_identity=.*' gives a column"):
            cb.fit("y ~ race", data)


def test_sites_with_the_same_rows_are_refused_whatever_their_order(rows):
    formula = "y ~ race + age + (1|seed)"
    one = cb.summarise_rows(formula, rows, min_rows=1)
    again = cb.summarise_rows(formula, rows.sample(frac=1, random_state=1), min_rows=1)
    with pytest.raises(DataError, match="summary 2 has the sums of summary 1"):
        cb.fit(formula, [one, again])
    others = cb.summarise_rows(formula, rows.assign(seed="x" + rows["seed"]), min_rows=1)
    assert cb.fit(formula, [one, others], **SETTINGS).attrs["n_rows"] == 2 * len(rows)


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (["True", "False"], "genuine,impostor"),
        (["False", "False"], "impostor"),
        (["genuine", "genuine"], "genuine"),
        ([1.0, 0.0], "genuine,impostor"),
        (pd.Categorical(["False", "False"], ["True", "False"]), "impostor"),
        (pd.array([True, None], "boolean"), "genuine"),
    ],
)
def test_kinds_of_pairs_are_read_as_truth_values(said, kinds):
    frame = pd.DataFrame({"distance": [0.1, 0.2], "same_identity": said})
    assert ",".join(kinds_of(frame)) == kinds
    with pytest.raises(DataError, match="does not say whether a pair shows one person"):
        kinds_of(frame.assign(same_identity=["perhaps", "no"]))


def test_a_moment_that_others_add_up_to_is_left_out_as_of_rows(rows):
    frame = rows.assign(months=12 * rows["age"], both=rows["age"] + rows["w"])
    for formula in ("y ~ race + age + months", "y ~ age + level + w + both"):
        one = cb.fit(formula, frame, **SETTINGS)
        summary = cb.summarise_rows(formula, frame, min_rows=1)
        other = cb.fit(formula, summary, **SETTINGS)
        assert one.attrs["left_out"] == other.attrs["left_out"] != "[]"
        assert apart(one, other) < 1e-6


def test_levels_of_sites_are_those_of_the_model_that_is_fitted(rows):
    typo = rows.replace({"race": {"b": "B"}}).assign(y=rows["y"] + 1)
    sites = [cb.summarise_rows("y ~ level + (1|race)", one) for one in (rows, typo)]
    assert cb.fit("y ~ level + (1|race)", sites, **SETTINGS).attrs["n_rows"] == 2 * len(rows)
    for formula in ("y ~ level + race", "y ~ level + (race|level)"):
        with pytest.raises(DataError, match="race has the level 'B' in summary 2 alone"):
            cb.fit(formula, sites)
    days = [rows.assign(day=pd.Timestamp("2024-03-02")), typo.assign(day="2024-03-02T00:00:00")]
    with pytest.raises(DataError, match="the day 2024-03-02 of day is 2024-03-02T00:00:00"):
        cb.fit("y ~ (1|day)", [cb.summarise_rows("y ~ (1|day)", one) for one in days])


def ratings():
    rng = np.random.default_rng(4)
    found = pd.DataFrame({"item": [f"i{k}" for k in rng.integers(0, 9, 1500)]})
    found["rater"] = [f"r{k}" for k in rng.integers(0, 5, 1500)]
    found["grp"] = np.where(rng.random(1500) < 0.93, "old", "young")
    found["m"] = rng.integers(0, 5, 1500) + (found["grp"] == "old")
    found["y"] = rng.normal(size=1500) + 2.0 * (found["grp"] == "old") + found["m"]
    return found


@pytest.mark.slow
def test_verbs_weigh_a_row_by_the_rows_that_it_stands_for(tmp_path):
    frame = ratings()
    formula = "y ~ grp + (1|item) + (1|rater) + (1|item:grp)"
    fits = [
        cb.fit(formula, data, **SETTINGS)
        for data in (frame, cb.summarise_rows(formula, frame, min_rows=1))
    ]
    for verb in (
        lambda fit: cb.agreement.generalisability(fit, "item", "rater"),
        cb.agreement.variance_components,
    ):
        one, other = map(verb, fits)
        assert int(one["n"]) == int(other["n"]) == len(frame)
        for name in one.data_vars:
            assert np.allclose(one[name], other[name], rtol=1e-6, atol=1e-9), name
    with pytest.raises(DataError, match="a count of lost rows needs single rows"):
        cb.causal.complete(fits[1], "item", "grp")
    frame["mean"] = frame.groupby("item")["m"].transform("mean")
    paths = ("y ~ grp + m + mean + (1|item)", "m ~ grp + (1|item)")
    data = [[frame] * 2, [cb.summarise_rows(one, frame, min_rows=1) for one in paths]]
    effects = []
    for two in data:
        outcome, mediator = (cb.fit(f, d, **SETTINGS) for f, d in zip(paths, two, strict=True))
        effects.append(
            cb.causal.mediation(outcome, mediator, "grp", manipulated=True, mediator_error=0.1)
        )
    for name in effects[0].data_vars:
        assert np.allclose(effects[0][name], effects[1][name], rtol=1e-5, atol=1e-7), name
    judged = frame.rename(columns={"rater": "annotator"})
    judged.to_parquet(tmp_path / "judged.parquet")
    for data in (judged, tmp_path / "judged.parquet"):
        assert pair_spread(fitted(cb.fit("y ~ grp + (1|item)", data, **SETTINGS))).sources == (
            "item",
        )


def edited(summary, **change):
    found = summary.copy(deep=True)
    for name, to in change.items():
        if name in ("manifest", "tally"):
            found.attrs[name] = json.dumps(to(json.loads(found.attrs[name])))
        elif name == "levels":
            found["cells"] = found["cells"].to_dataset().assign_coords(race__levels=to)
        else:
            found["sums"][name].values[...] = to(found["sums"][name].values)
    return found


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scatter": lambda v: -v}, "a sum of squares is negative"),
        ({"scatter": lambda v: v + 5}, "a cell of one row has a sum of squares"),
        ({"rows": lambda v: v * 10}, "other rows than its tally"),
        ({"mean": lambda v: v * np.nan}, "a mean is not finite"),
        ({"mean": lambda v: v * 0 + 1e200}, "a mean is not finite, or too large"),
        ({"levels": np.array(["a", "a", "c"])}, "two levels of race have one name"),
        ({"tally": lambda t: {"rows": t["rows"]}}, "'excluded'"),
        ({"tally": lambda t: t | {"labels": {"system": 3}}}, "its tally is not of texts"),
        ({"manifest": lambda m: m | {"columns": [1]}}, "cannot be read"),
        ({"manifest": lambda m: m | {"columns": {"race": "levels"}}}, "other columns"),
        ({"manifest": lambda m: m | {"counts": "race"}}, "no such counts"),
    ],
)
def test_an_edited_summary_is_refused_in_memory_and_in_files(rows, tmp_path, change, match):
    one = pd.DataFrame({"race": ["a"], "level": [7], "y": [0.5]})
    formula = "y ~ race + level"
    summary = cb.summarise_rows(formula, pd.concat([rows, one]), min_rows=1)
    bad = edited(summary, **change)
    path = cb.save(bad, tmp_path / "bad.nc")
    for data in (bad, [summary, bad], path):
        with pytest.raises(DataError, match=match):
            cb.fit(formula, data)


def test_moments_of_a_number_with_few_values_do_not_reveal_a_row(rows):
    frame = rows.assign(famous=(np.arange(len(rows)) == 11).astype(int))
    with pytest.raises(DataError, match="famous is 1 in 1 rows, fewer than 10"):
        cb.summarise_rows("y ~ race + famous", frame, moments=["famous"])
    alone = int((rows["race"] != "c").idxmax())
    frame["famous"] = ((rows.index == alone) | (rows["race"] == "c")).astype(int)
    with pytest.raises(DataError, match=r"race .* has 1 rows, beside one other value"):
        cb.summarise_rows("y ~ race + famous", frame, moments=["famous"])
    cb.summarise_rows("y ~ race + famous", frame, moments=["famous"], min_rows=1)
    cb.summarise_rows("y ~ race + level", frame, moments=["level"])


def test_columns_of_awkward_types_are_as_in_memory(rows, tmp_path):
    dask = pytest.importorskip("dask.dataframe")
    first, second = rows[:700].copy(), rows[700:].reset_index(drop=True)
    sex = pd.Series(np.arange(500) % 3 == 0, dtype=object)
    sex[3] = None
    big = 2**60
    files = {
        "none": ("y ~ race + level", first, second.assign(level=None, race=None)),
        "bool": ("y ~ sex", first.assign(sex=first["y"] > 0), second.assign(sex=sex)),
        "ids": (
            "y ~ (1|rater)",
            first.assign(rater=first["rater"] + big),
            second.assign(rater=second["rater"] + big),
        ),
        "whole": (
            "y ~ C(level)",
            first.assign(level=first["level"].astype("Int64").mask(first["level"] == 2)),
            second.astype({"level": "Int64"}),
        ),
        "cell": (
            "y ~ race + (1|cell)",
            first.rename(columns={"rater": "cell"}),
            second.rename(columns={"rater": "cell"}),
        ),
    }
    for name, (formula, *parts) in files.items():
        (tmp_path / name).mkdir()
        for at, part in enumerate(parts):
            part.to_parquet(tmp_path / name / f"{at}.parquet")
        whole = pd.concat(parts, ignore_index=True)
        one = cb.fit(formula, whole, missing="drop", **SETTINGS)
        other = cb.fit(formula, tmp_path / name, missing="drop", **SETTINGS)
        assert apart(one, other) < 1e-8, name
        assert set(map(str, one["posterior"].coords)) == set(map(str, other["posterior"].coords))
        assert all(
            one["posterior"][dim].equals(other["posterior"][dim]) for dim in one["posterior"].coords
        )
        assert one.attrs["missing"] == other.attrs["missing"]
    with pytest.raises(DataError, match="is needed here"):
        cb.fit("y ~ race", dask.from_pandas(rows, 2)["y"])


def test_declared_levels_settle_orders_and_are_written_as_in_memory(rows, tmp_path):
    orders = (["a", "b", "c"], ["c", "b", "a"])
    for at, order in enumerate(orders):
        part = rows[at::2].assign(race=pd.Categorical(rows["race"][at::2], order))
        part.to_parquet(tmp_path / f"{at}.parquet")
    with pytest.raises(DataError, match="their order is not known"):
        cb.fit("y ~ race", tmp_path)
    declared = {"race": ["b", " a", "c"]}
    summary = cb.summarise_rows("y ~ race", tmp_path, levels=declared)
    ordered = rows.assign(race=pd.Categorical(rows["race"], ["b", "a", "c"]))
    found = cb.fit("y ~ race", summary, **SETTINGS)
    assert apart(cb.fit("y ~ race", ordered, **SETTINGS), found) < 1e-8
    spaced = rows.replace({"race": {"a": " a"}})
    assert cb.summarise_rows("y ~ race", spaced, levels=declared)["cells"].sizes["__cell"] == 3
    with pytest.raises(DataError, match="'NA' stands for a missing cell"):
        cb.summarise_rows("y ~ race", rows, levels={"race": ["NA", "a", "b", "c"]})
