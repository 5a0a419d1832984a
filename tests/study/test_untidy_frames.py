"""Frames as people have them: statuses, paths, ids that are floats; trees built by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.models.fit import frame_for
from causalbias.study.tree import as_study


def frames(**more):
    """Two faces of one person and one of another, two pairs, a distance each, two judgements."""
    made = {
        "stimuli": pd.DataFrame(
            {"stimulus": ["a", "b", "c"], "seed": ["1", "1", "2"], "level": [0, 1, 0]}
        ),
        "pairs": pd.DataFrame({"stimulus_a": ["a", "a"], "stimulus_b": ["b", "c"]}),
        "distances": pd.DataFrame(
            {"system": "n", "pair": ["a~b", "a~c"], "distance": [0.3, 0.9], "status": "ok"}
        ),
        "judgements": pd.DataFrame(
            {"annotator": ["x", "y"], "question": "q", "pair": ["a~b", "a~c"], "score": [1, 2]}
        ),
    }
    return made | more


def build(*, factors=("seed", "level"), scales=(0, 4), **given):
    return cb.make_study(factors=factors, scales=scales, salt=b"s", **frames(**given))


def plain(status, distance):
    """Comparisons without a study: four genuine pairs and four impostors."""
    return pd.DataFrame(
        {
            "seed_a": list("12345678"),
            "seed_b": list("12346785"),
            "same_identity": [True] * 4 + [False] * 4,
            "race": ["x"] * 8,
            "distance": distance,
            "status": status,
        }
    )


@pytest.mark.parametrize("written", ["ok", "OK", "Ok", " ok", "oK "])
def test_ok_is_taken_however_it_is_written(written):
    distances = frames()["distances"].assign(status=["ok", written])
    machine = cb.to_frame(build(distances=distances), "machine")
    assert machine["distance"].tolist() == [0.3, 0.9]
    assert machine["status"].tolist() == ["ok", "ok"]
    near, far = [0.1, 0.2, 0.3, 0.4], [0.6, 0.7, 0.8, 0.9]
    rates = [
        cb.error_rates(plain(status, near + far), "race", threshold=0.65)
        for status in (["ok"] * 8, ["ok", written] * 4)
    ]
    xr.testing.assert_identical(*rates)


@pytest.mark.parametrize("written", ["success", "True", True, 1, "failed"])
def test_a_distance_beside_a_status_that_is_not_ok_is_never_lost(written):
    distances = frames()["distances"].assign(status=pd.Series(["ok", written], dtype=object))
    with pytest.raises(DataError, match=r"distances, column 'status', row 2.*0\.9.*write \"ok\""):
        build(distances=distances)
    status = pd.Series(["ok"] * 7 + [written], dtype=object)
    with pytest.raises(DataError, match="column 'status', row 8"):
        cb.error_rates(plain(status, np.arange(8) / 10), "race", threshold=0.5)
    blank = distances.assign(distance=[0.3, np.nan])
    told = cb.to_frame(build(distances=blank), "machine")
    assert told["status"].tolist() == ["ok", str(written)]


def test_a_status_that_hides_a_distance_is_refused_in_a_tree_built_by_hand():
    study = build()
    study["machine"]["status"][:] = "OK"
    with pytest.raises(DataError, match="/machine, column 'status'"):
        cb.validate(study)


@pytest.mark.parametrize(("kind", "exact"), [("float16", 11), ("float32", 24), ("float64", 53)])
def test_floats_that_may_have_lost_a_digit_are_no_ids(kind, exact):
    below, at = 2.0**exact - 1, 2.0**exact
    faces = frames()["stimuli"]
    with pytest.raises(DataError, match=r"column 'seed', row 1.*lost"):
        build(stimuli=faces.assign(seed=np.array([at, at + 1, below], dtype=kind)))
    pairs = cb.to_frame(
        build(stimuli=faces.assign(seed=np.array([below, below, 1], dtype=kind))), "pairs"
    )
    assert pairs["same_identity"].tolist() == [True, False]
    mixed = pd.Series([float(at), "x", "y"], dtype=object)
    if kind == "float64":
        with pytest.raises(DataError, match=r"column 'seed', row 1.*lost"):
            build(stimuli=faces.assign(seed=mixed))


@pytest.mark.parametrize("other", ["./f/a.png", "f//a.png", "f/b/../a.png", "f\\a.png"])
def test_one_image_is_one_face_however_its_path_is_written(other):
    faces = frames()["stimuli"].assign(image=["f/a.png", other, "f/c.png"])
    with pytest.raises(DataError, match="of one image"):
        build(stimuli=faces)
    told = build(stimuli=faces.assign(image=["f/a.png", other + "x", "./f/c.png"]))
    assert cb.to_frame(told, "stimuli").set_index("stimulus")["image"].tolist() == [
        "f/a.png",
        "f/a.pngx",
        "f/c.png",
    ]


@pytest.mark.parametrize("path", ["../a.png", "f/../../a.png", "..\\a.png"])
def test_a_path_that_leads_out_of_the_folder_is_refused(path):
    faces = frames()["stimuli"].assign(image=["f/a.png", path, "f/c.png"])
    with pytest.raises(DataError, match=r"row 2.*outside"):
        build(stimuli=faces)


@pytest.mark.parametrize(
    ("sides", "problem"),
    [
        ((["a", "a"], ["b", "a"]), "beside itself"),
        ((["a", "b"], ["b", "a"]), "are compared in row 1 already"),
    ],
)
def test_trees_built_by_hand_have_no_pair_twice_and_no_face_beside_itself(sides, problem):
    study = as_study(build())
    pairs = study["pairs"].to_dataset().drop_vars(["stimulus_a", "stimulus_b"])
    study["pairs"] = xr.DataTree(
        pairs.assign_coords(stimulus_a=("pair", sides[0]), stimulus_b=("pair", sides[1]))
    )
    with pytest.raises(DataError, match=f"/pairs.*{problem}"):
        cb.validate(study)
    study = build(stimuli=frames()["stimuli"].assign(image=["a.png", "b.png", "c.png"]))
    study["stimuli"]["image"][:] = "one.png"
    with pytest.raises(DataError, match="of one image"):
        cb.validate(study)


@pytest.mark.parametrize("key", ["stimuli", "pairs", "distances", "judgements"])
def test_a_named_index_is_columns_in_every_table(key, tmp_path):
    table = frames()[key].assign(note=["x", "y", "z"][: len(frames()[key])])
    for names in (["note"], table.columns[:2].tolist(), ["note", table.columns[0]]):
        given = build(**{key: table.set_index(names)})
        plain_ = build(**{key: table})
        for group in ("stimuli", "pairs", "machine", "human"):
            pd.testing.assert_frame_equal(
                cb.to_frame(given, group), cb.to_frame(plain_, group), check_like=True
            )
    with pytest.raises(DataError, match=f"{key}, column 'note': the index and a column"):
        build(**{key: table.set_index(table["note"] + "!")})
    build(**{key: table.set_index("note", drop=False)})
    table.set_index("note").to_parquet(tmp_path / f"{key}.parquet")
    for other in set(frames()) - {key}:
        frames()[other].to_csv(tmp_path / f"{other}.csv", index=False)
    study = cb.load("tidy", tmp_path, factors=["seed", "level"], scales=(0, 4))
    group = {"distances": "machine", "judgements": "human"}.get(key, key)
    assert "note" in cb.to_frame(study, group)


def test_a_named_index_serves_rates_and_fits_of_plain_frames():
    rows = plain(["ok"] * 8, np.arange(1, 9) / 10)
    for names in (["race"], ["seed_a", "seed_b"]):
        xr.testing.assert_identical(
            cb.error_rates(rows.set_index(names), "race", threshold=0.5),
            cb.error_rates(rows, "race", threshold=0.5),
        )
    assert "race" in frame_for("distance ~ race", rows.set_index("race"))


@pytest.mark.parametrize("key", ["stimuli", "pairs", "distances", "judgements"])
def test_columns_without_a_name_and_with_names_that_no_file_holds(key, tmp_path):
    table = frames()[key]
    numbered = table.copy()
    numbered.insert(0, "", range(1, len(table) + 1))
    study = build(**{key: numbered})
    left = cb.to_frame(study, "excluded")
    assert left[["file", "what", "count"]].values.tolist() == [[key, "columns", 1]]
    cb.save(study, tmp_path / "study.nc")
    with pytest.raises(DataError, match=f"{key}: a column has no name"):
        build(**{key: table.assign(**{"": "x"})})
    for name in ("per mg/l", "half\ud800", "nul\0", "."):
        named = pd.Index([*table.columns, name], dtype=object)
        with pytest.raises(DataError, match=f"{key}: a column is called"):
            build(**{key: table.assign(more=1).set_axis(named, axis=1)})


def test_row_numbers_in_a_file_are_left_out_and_the_study_is_saved(tmp_path):
    frames()["stimuli"].to_csv(tmp_path / "stimuli.csv")
    study = cb.load("tidy", tmp_path, factors=["seed", "level"])
    assert cb.to_frame(study, "excluded")["count"].tolist() == [1]
    cb.save(study, tmp_path / "study.nc")


@pytest.mark.parametrize(
    "factors", [["seed", "pair"], ["seed", "system"], ["seed", "seed"], ["seed", "a/b"], 3]
)
def test_factors_with_names_of_something_else_are_one_error(factors):
    faces = frames()["stimuli"].assign(pair="x", system="y", **{"a/b": 1})
    with pytest.raises(DataError):
        cb.make_study(factors=factors, stimuli=faces)


@pytest.mark.parametrize(
    "scales",
    [4, {"q": None}, (0, 2, 4), (0, np.inf), "04", (4, 0), {"q": (0, np.nan)}, {"q": ("a", 1)}],
)
def test_a_scale_is_two_finite_numbers(scales):
    with pytest.raises(DataError, match="judgements, column 'score': the scale of question 'q'"):
        build(scales=scales)


@pytest.mark.parametrize("key", ["stimuli", "pairs", "distances", "judgements"])
def test_half_a_character_in_a_text_column_is_named(key):
    table = frames()[key]
    note = pd.Series(["x\ud800", *["y"] * (len(table) - 1)], dtype=object)
    with pytest.raises(DataError, match=f"{key}, column 'note', row 1.*half of a character"):
        build(**{key: table.assign(note=note)})


@pytest.mark.parametrize("damage", ["#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"])
def test_errors_of_a_spreadsheet_are_damage(damage, tmp_path):
    for key, column in [
        ("stimuli", "stimulus"),
        ("stimuli", "seed"),
        ("stimuli", "level"),
        ("pairs", "stimulus_a"),
        ("judgements", "score"),
        ("judgements", "annotator"),
    ]:
        table = frames()[key].astype({column: object})
        table.loc[1, column] = damage
        with pytest.raises(DataError, match=f"{key}, column '{column}', row 2.*spreadsheet"):
            build(**{key: table})
    faces = frames()["stimuli"].assign(weight=[1.5, damage, 2])
    assert cb.to_frame(build(stimuli=faces), "stimuli")["weight"].isna().sum() == 1
    faces.assign(seed=["1", f"{damage} ", "2"]).to_csv(tmp_path / "stimuli.csv", index=False)
    with pytest.raises(DataError, match=r"column 'seed', row 2.*spreadsheet"):
        cb.load("tidy", tmp_path, factors=["seed", "level"])


RATINGS = pd.DataFrame(
    {
        "item": list("aabbcc"),
        "rater": list("xy") * 3,
        "rating": [1.0, 2, 3, 3, 5, 4],
        "sex": ["Female", "Male", "female"] * 2,
    }
)
ENTRANCES = {
    "rates": lambda rows: cb.error_rates(rows, "race", threshold=0.5),
    "scores": lambda rows: cb.datasets.read_scores(
        rows, id_a="seed_a", id_b="seed_b", group="race", same="same_identity"
    ),
    "a fit": lambda rows: cb.get_prior("distance ~ race", rows),
    "lost rows": lambda rows: cb.causal.selection_bounds(
        rows, "distance", "race", cluster="seed_a"
    ),
    "intraclass": lambda rows: cb.agreement.intraclass(
        RATINGS if rows.columns.is_unique else pd.concat([RATINGS, RATINGS[["rating"]]], axis=1),
        item="item",
        rater="rater",
        rating="rating",
    ),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_two_columns_of_one_name_are_refused_at_every_entrance(entrance):
    rows = plain(["ok"] * 8, np.arange(1, 9) / 10).assign(race=["x", "y"] * 4)
    twice = pd.concat([rows, rows[["distance"]] + 1], axis=1)
    with pytest.raises(DataError, match=r"two columns have this name"):
        ENTRANCES[entrance](twice)


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_groups_that_differ_by_capitals_only_are_refused_at_every_entrance(dtype):
    rows = plain(["ok"] * 8, np.arange(1, 9) / 10)
    rows["race"] = pd.Series(["Asian", "white", "asian", "white"] * 2, dtype=dtype)
    for name in ("rates", "a fit"):
        with pytest.raises(DataError, match=r"column 'race'.*'[Aa]sian'.*'[Aa]sian'"):
            ENTRANCES[name](rows)
    with pytest.raises(DataError, match=r"stimuli, column 'level'.*look like one"):
        build(stimuli=frames()["stimuli"].assign(level=pd.Series(["A", "a", "B"], dtype=dtype)))
    with pytest.raises(DataError, match=r"column 'sex'.*look like one"):
        cb.analyses.analyse_ratings(
            RATINGS.astype({"sex": dtype}),
            item="item",
            rater="rater",
            rating="rating",
            item_group="sex",
        )
    # Codes of people and faces may differ so, and a level that no row has is no group.
    seeds = frames()["stimuli"].assign(seed=["s", "s", "S"])
    assert cb.to_frame(build(stimuli=seeds), "pairs")["same_identity"].tolist() == [True, False]
    unused = pd.CategoricalDtype(["Asian", "white", "asian"])
    cb.get_prior("distance ~ race", rows[rows["race"] != "asian"].astype({"race": unused}))
    cb.get_prior("distance ~ 1 + (1|race)", rows)
