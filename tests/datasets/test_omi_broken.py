"""Broken copies of the experiment's files: each ends in one DataError that says where and what."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError


@pytest.fixture(params=["omi", "generated"])
def release(request, tmp_path, write_experiment):
    """A copy of the release that may be broken: (csv, npz)."""
    root = tmp_path / "release"
    root.mkdir()
    if request.param == "generated":
        write_experiment(root)
        stem, system = "validation_pilot", "net"
    else:
        source: Path = request.getfixturevalue("omi")
        stem, system = "validation_artificial", "dlib"
        for name in (f"{stem}.csv", f"embeddings_{system}_{stem}.npz"):
            shutil.copyfile(source / name, root / name)
    return root / f"{stem}.csv", root / f"embeddings_{system}_{stem}.npz"


def failure(path, layout="omi") -> DataError:
    with pytest.raises(DataError) as caught:
        cb.load(layout, path)
    error = caught.value
    assert type(error) is DataError
    assert error.hint
    assert error.hint in str(error)
    assert "np." not in str(error), "a NumPy repr in a message for people"
    return error


def with_value(column, row, value):
    def change(frame):
        frame = frame.astype({column: object})
        frame.loc[row - 1, column] = value
        return frame

    return change


CSV_BREAKS = {
    "level 3": (with_value("stimulus_level", 7, 3), "stimulus_level", 7),
    "level half": (with_value("stimulus_level", 9, 0.5), "stimulus_level", 9),
    "level text": (with_value("stimulus_level", 8, "high"), "stimulus_level", 8),
    "level missing": (with_value("stimulus_level", 2, None), "stimulus_level", 2),
    "response 140": (with_value("response", 12, 140), "response", 12),
    "response below": (with_value("response", 1, -0.01), "response", 1),
    "response text": (with_value("response", 20, "n/a?"), "response", 20),
    "response missing": (with_value("response", 5, None), "response", 5),
    "response inf": (with_value("response", 6, "inf"), "response", 6),
    "condition missing": (with_value("condition", 4, None), "condition", 4),
    "rater missing": (with_value("anon_id", 3, None), "anon_id", 3),
    "condition blank": (with_value("condition", 4, "  "), "condition", 4),
}


@pytest.mark.parametrize("case", CSV_BREAKS)
def test_bad_value_in_the_csv(release, case):
    csv, _ = release
    change, column, row = CSV_BREAKS[case]
    change(pd.read_csv(csv)).to_csv(csv, index=False)
    error = failure(csv.parent)
    assert (error.file, error.column, error.row) == (csv.name, column, row)


@pytest.mark.parametrize("column", ["stimulus_level", "condition", "anon_id", "response"])
def test_column_gone(release, column):
    csv, _ = release
    pd.read_csv(csv).drop(columns=column).to_csv(csv, index=False)
    error = failure(csv.parent)
    assert (error.file, error.column, error.row) == (csv.name, column, None)
    assert "end_time" in str(error), "tells which columns there are"


def test_rater_and_level_twice(release):
    csv, _ = release
    frame = pd.read_csv(csv)
    pd.concat([frame, frame.iloc[[2]]]).to_csv(csv, index=False)
    error = failure(csv.parent)
    assert error.file == csv.name
    assert error.row == len(frame) + 1
    named = error.column.split(" + ")
    assert {"anon_id", "stimulus_level"} <= set(named) <= set(frame.columns)


def test_how_many_more_rows(release):
    csv, _ = release
    frame = pd.read_csv(csv)
    frame.loc[[3, 5, 9], "response"] = 101.0
    frame.to_csv(csv, index=False)
    error = failure(csv.parent)
    assert error.row == 4
    assert "2 more" in str(error)


def test_undecodable_bytes(release):
    csv, _ = release
    text = csv.read_bytes()
    label = pd.read_csv(csv)["condition"][0].encode()
    csv.write_bytes(text.replace(label, b"\xff\xfe" + label, 1))
    assert failure(csv.parent).file == csv.name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x00\x01\x02\x03" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b'"open\n1,2',
    ],
    ids=["empty", "newline", "zeros", "image", "open quote"],
)
def test_csv_that_is_none(release, content):
    csv, _ = release
    csv.write_bytes(content)
    assert failure(csv.parent).file == csv.name


def test_header_only(release):
    csv, _ = release
    csv.write_text(csv.read_text().splitlines()[0] + "\n")
    error = failure(csv.parent)
    assert error.file == csv.name
    assert "no rows" in str(error)


def test_ragged_row(release):
    csv, _ = release
    lines = csv.read_text().splitlines()
    lines[4] += ",one,too,many"
    csv.write_text("\n".join(lines))
    assert failure(csv.parent).file == csv.name


def test_directory_without_the_csv(release):
    csv, _ = release
    csv.unlink()
    assert failure(csv.parent).file == str(csv.parent)


def test_two_csvs(release):
    csv, _ = release
    shutil.copyfile(csv, csv.with_name("validation_other.csv"))
    assert "2 files" in str(failure(csv.parent))


def test_missing_path(tmp_path):
    assert failure(tmp_path / "nowhere").file == str(tmp_path / "nowhere")
    assert failure(tmp_path / "nowhere.zip", "omi-ratings").file.endswith("nowhere.zip")


def test_unknown_layout(tmp_path):
    assert "omi-ratings" in failure(tmp_path, "no-such").hint


# Embeddings ---------------------------------------------------------------------------------


def arrays_of(npz):
    with np.load(npz) as file:
        return {name: file[name] for name in file.files}


def rename(row, new):
    def change(arrays):
        arrays["name"] = arrays["name"].astype("<U60")
        arrays["name"][row - 1] = new

    return change


def not_finite(arrays):
    arrays["embedding"][10, 3] = np.nan


def put(name, make):
    def change(arrays):
        arrays[name] = make(arrays[name])

    return change


NPZ_BREAKS = {
    "nan": (not_finite, "embedding", 11),
    "all nan": (put("embedding", lambda e: np.full_like(e, np.nan)), "embedding", 1),
    "no parse": (rename(5, "face.jpg"), "name", 5),
    "no level": (rename(6, "12_age_.jpg"), "name", 6),
    "level 7": (rename(7, "12_age_7.jpg"), "name", 7),
    "huge seed": (rename(8, "9" * 30 + "_age_0.jpg"), "name", 8),
    "huge level": (rename(8, "1_age_" + "9" * 30 + ".jpg"), "name", 8),
    "path": (rename(9, "../../1_age_0.jpg"), "name", 9),
    "names are numbers": (put("name", lambda n: np.arange(len(n))), "name", 1),
    "flat": (put("embedding", lambda e: e[:, 0]), "embedding", None),
    "cube": (put("embedding", lambda e: e[:, :, None]), "embedding", None),
    "integers": (put("embedding", lambda e: e.astype(int)), "embedding", None),
    "too few": (put("embedding", lambda e: e[:-1]), "embedding", None),
    "scalar": (put("detected", lambda d: d[0]), "detected", None),
    "scalar name": (put("name", lambda n: n[0]), "name", None),
    "detected text": (put("detected", lambda d: np.full(len(d), "yes")), "detected", None),
    "detected table": (put("detected", lambda d: d[:, None] & [True, False]), "detected", None),
}


@pytest.mark.parametrize("case", NPZ_BREAKS)
def test_bad_embeddings(release, case):
    csv, npz = release
    change, column, row = NPZ_BREAKS[case]
    arrays = arrays_of(npz)
    change(arrays)
    np.savez(npz, **arrays)
    error = failure(csv.parent)
    assert (error.file, error.column, error.row) == (npz.name, column, row)


def test_face_twice(release):
    csv, npz = release
    arrays = arrays_of(npz)
    arrays["name"][20] = arrays["name"][4]
    np.savez(npz, **arrays)
    error = failure(csv.parent)
    assert (error.file, error.column, error.row) == (npz.name, "name", 21)
    assert str(arrays["name"][4]) in str(error)


@pytest.mark.parametrize("name", ["name", "detected", "embedding"])
def test_array_gone(release, name):
    csv, npz = release
    arrays = arrays_of(npz)
    del arrays[name]
    np.savez(npz, **arrays)
    error = failure(csv.parent)
    assert (error.file, error.column) == (npz.name, name)


@pytest.mark.parametrize("name", ["name", "embedding"])
def test_pickled_objects(release, name):
    csv, npz = release
    arrays = arrays_of(npz)
    arrays[name] = arrays[name].astype(object)
    np.savez(npz, **arrays)
    assert failure(csv.parent).file == npz.name


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_truncated_npz(release, share):
    csv, npz = release
    content = npz.read_bytes()
    npz.write_bytes(content[: int(share * len(content))])
    assert failure(csv.parent).file == npz.name


@pytest.mark.parametrize("compress", [np.savez, np.savez_compressed])
def test_damaged_npz(release, compress):
    csv, npz = release
    compress(npz, **arrays_of(npz))
    content = bytearray(npz.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xff" * 64
    npz.write_bytes(content)
    assert failure(csv.parent).file == npz.name


def test_npy_under_the_name_of_an_npz(release):
    csv, npz = release
    with npz.open("wb") as stream:
        np.save(stream, np.ones((3, 2)))
    assert failure(csv.parent).file == npz.name


def test_other_systems_other_faces(release):
    csv, npz = release
    arrays = arrays_of(npz)
    other = npz.with_name(f"embeddings_zzz_{csv.stem}.npz")
    np.savez(other, **{name: values[3:] for name, values in arrays.items()})
    error = failure(csv.parent)
    assert (error.file, error.column) == (other.name, "name")


# What is left out is counted, not an error ------------------------------------------------------


def left_out(study):
    """What is excluded but for the columns that are not read."""
    return cb.to_frame(study, "excluded").query("what != 'columns'")


def test_seed_without_one_level(release):
    csv, npz = release
    whole = cb.load("omi", csv.parent)
    np.savez(npz, **{name: values[1:] for name, values in arrays_of(npz).items()})
    study = cb.load("omi", csv.parent)
    excluded = left_out(study)
    # Of its three genuine pairs only that of the other two levels is formed.
    assert excluded["count"].tolist() == [2]
    assert excluded["file"].tolist() == [npz.name]
    lost = whole["pairs"]["same_identity"].sum() - study["pairs"]["same_identity"].sum()
    assert int(lost) == 2
    assert "2 genuine pairs not formed" in repr(study)


def test_seed_with_one_level_only(release):
    csv, npz = release
    arrays = arrays_of(npz)
    first = arrays["name"][0].rsplit("_", 1)[0]
    keep = np.array([not (n.startswith(first + "_") and n[-5] != "0") for n in arrays["name"]])
    assert (~keep).sum() == 2
    np.savez(npz, **{name: values[keep] for name, values in arrays.items()})
    assert left_out(cb.load("omi", csv.parent))["count"].tolist() == [3]


def test_face_not_detected(release):
    csv, npz = release
    arrays = arrays_of(npz)
    arrays["detected"][0] = False
    arrays["embedding"][0] = np.nan
    np.savez(npz, **arrays)
    study = cb.load("omi", csv.parent)
    assert left_out(study)["count"].tolist() == [1]
    machine = cb.to_frame(study, "machine")
    face = str(arrays["name"][0]).removesuffix(".jpg")
    touched = (machine["stimulus_a"] == face) | (machine["stimulus_b"] == face)
    assert touched.sum() > 2
    assert (machine.loc[touched, "status"] == "face not detected").all()
    assert machine.loc[touched, "distance"].isna().all()
    assert (machine.loc[~touched, "status"] == "ok").all()
    assert machine.loc[~touched, "distance"].notna().all()


def test_second_system_without_a_published_threshold(release):
    csv, npz = release
    arrays = arrays_of(npz)
    arrays["embedding"] = 2 * arrays["embedding"]
    np.savez(npz.with_name(f"embeddings_double_{csv.stem}.npz"), **arrays)
    machine = cb.load("omi", csv.parent)["machine"].to_dataset()
    other = machine["system"].values[machine["system"].values != "double"][0]
    ratio = machine["distance"].sel(system="double") / machine["distance"].sel(system=other)
    assert ratio.values == pytest.approx(2.0, rel=1e-6)
    known = {"dlib": 0.6}.get(str(other), np.nan)
    assert machine["threshold"].sel(system=other).item() == pytest.approx(known, nan_ok=True)
    assert np.isnan(machine["threshold"].sel(system="double"))


def test_without_embeddings_there_is_no_machine_side(release):
    csv, npz = release
    npz.unlink()
    assert not {"machine", "stimuli", "pairs"} & set(cb.load("omi", csv).children)


# Ratings ----------------------------------------------------------------------------------------


@pytest.fixture
def ratings(tmp_path):
    """A small file of ratings in the published layout, zipped."""
    frame = pd.DataFrame(
        {
            "rating": [50.0, 49, 0, 100, 57, 20],
            "attribute": ["age", "age", "smug", "age", "smug", "age"],
            "rating_type": ["normal", "repeat", "normal", "fill-in", "normal", "normal"],
            "stimulus": [1, 1, 2, 2, 3, 3],
        }
    )

    def write(change=lambda frame: frame):
        path = tmp_path / "attribute_ratings.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("attribute_ratings.csv", change(frame.copy()).to_csv(index=False))
        return path

    return write


RATING_BREAKS = {
    "rating 140": (with_value("rating", 3, 140), "rating", 3),
    "rating text": (with_value("rating", 2, "many"), "rating", 2),
    "stimulus text": (with_value("stimulus", 4, "face"), "stimulus", 4),
    "stimulus half": (with_value("stimulus", 4, 1.5), "stimulus", 4),
    "attribute missing": (with_value("attribute", 5, None), "attribute", 5),
    "type unknown": (with_value("rating_type", 6, "late"), "rating_type", 6),
    "type missing": (with_value("rating_type", 6, None), "rating_type", 6),
}


@pytest.mark.parametrize("case", RATING_BREAKS)
def test_bad_rating(ratings, case):
    change, column, row = RATING_BREAKS[case]
    path = ratings(change)
    error = failure(path, "omi-ratings")
    assert (error.file, error.column, error.row) == (path.name, column, row)


def test_small_ratings_are_read(ratings):
    study = cb.load("omi-ratings", ratings())
    assert cb.to_frame(study, "human")["score"].tolist() == [50, 49, 0, 100, 57, 20]


def test_zip_with_two_csvs(ratings):
    path = ratings()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other.csv", "a,b\n1,2\n")
    error = failure(path.parent, "omi-ratings")
    assert error.file == path.name
    assert "2 CSV files" in str(error)


def test_zip_without_a_csv(ratings):
    path = ratings()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "0 CSV files" in str(failure(path, "omi-ratings"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_truncated_zip(ratings, share):
    path = ratings()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert failure(path, "omi-ratings").file == path.name


def test_damaged_zip(ratings):
    path = ratings(lambda frame: pd.concat([frame] * 2000))
    with zipfile.ZipFile(path) as archive:
        csv = archive.read("attribute_ratings.csv")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("attribute_ratings.csv", csv)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 40] = b"\xff" * 40
    path.write_bytes(content)
    assert failure(path, "omi-ratings").file == path.name


def test_encrypted_zip(ratings):
    path = ratings()
    content = bytearray(path.read_bytes())
    # The flag bit "encrypted" in the local and in the central header of the one member.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert failure(path, "omi-ratings").file == path.name
