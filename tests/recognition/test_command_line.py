"""From image files to a study and to effects, on the command line."""

import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_embed_writes_embeddings_and_a_study_and_resumes(noisy_folder, tmp_path):
    pytest.importorskip("pywt")
    for n in range(10):
        (noisy_folder / f"f{n}.png").rename(noisy_folder / f"{n // 2}_{n % 2}.png")
    (noisy_folder / "9_0.png").write_bytes(b"broken")
    command = [
        "embed",
        noisy_folder,
        "-o",
        tmp_path / "out",
        "--embedder",
        "wavelets",
        "--embedder",
        "lbp",
        "--align",
        "none",
        "--names",
        "{seed}_{level}",
    ]
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert "wavelets: 10 ok, 1 unreadable image" in done.output
    study = cb.open(tmp_path / "out" / "study.nc")
    found = cb.open(tmp_path / "out" / "embeddings.nc")
    assert np.array_equal(found["embedding"], study["embeddings"]["embedding"], equal_nan=True)
    assert dict(study["stimuli"].sizes) == {"seed": 6, "level": 2}
    assert run(*command).output == done.output
    counted = (
        pd.read_csv(tmp_path / "out" / "enrolment.csv")
        .set_index(["system", "by", "group"])
        .sort_index()
    )
    assert counted.loc[("lbp", "all"), "failed"].tolist() == [1]
    assert counted.loc[("lbp", "level"), "faces"].tolist() == [6, 5]
    assert counted.loc[("lbp", "level"), "failed"].tolist() == [1, 0]
    assert "Failures to enrol" in done.output


def test_embed_says_in_one_line_what_is_wrong(tmp_path):
    done = run("embed", tmp_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "no images" in done.output
    assert "Traceback" not in done.output


def test_chips_and_ratings_alone_make_the_study_that_the_stored_embeddings_make(
    omi, chips, tmp_path
):
    shutil.copy(omi / "validation_artificial.csv", tmp_path)
    (tmp_path / "chips").symlink_to(chips.resolve())
    waiting, reference = cb.load("omi", tmp_path), cb.load("omi", omi)
    assert "machine" not in waiting.children
    for group in ("stimuli", "pairs"):
        assert waiting[group].to_dataset().identical(reference[group].to_dataset())


def test_chips_of_any_format_are_faces_and_other_files_are_counted(omi, tmp_path):
    shutil.copy(omi / "validation_artificial.csv", tmp_path)
    (tmp_path / "chips").mkdir()
    names = ["1320_familiar_0.jpg", "1320_familiar_1.JPG", "1320_familiar_2.png"]
    for name in [*names, "._1320_familiar_0.jpg", "notes.txt"]:
        (tmp_path / "chips" / name).write_bytes(b"")
    study = cb.load("omi", tmp_path)
    faces = cb.to_frame(study, "stimuli")["stimulus"].tolist()
    assert faces == ["1320_familiar_0", "1320_familiar_1", "1320_familiar_2"]
    excluded = study["excluded"].to_dataset().to_dataframe().set_index("what")
    assert excluded.loc["files", "count"] == 2


@pytest.mark.slow
def test_from_jpeg_to_effects(omi, chips, tmp_path):
    """Six seeds and one attribute in full: the report's numbers are those of the stored file."""
    pytest.importorskip("dlib")
    source, bare = tmp_path / "source", tmp_path / "bare"
    for root in (source, bare):
        root.mkdir()
    rows = (omi / "validation_artificial.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows[1:] if ",familiar," in row]
    assert kept
    with np.load(omi / "embeddings_dlib_validation_artificial.npz", allow_pickle=False) as arrays:
        name, detected, embedding = (arrays[key] for key in ("name", "detected", "embedding"))
    mine = np.flatnonzero(np.char.find(name, "_familiar_") > 0)[:36]
    np.savez(
        source / "embeddings_dlib_validation_part.npz",
        name=name[mine],
        detected=detected[mine],
        embedding=embedding[mine],
    )
    (bare / "chips").mkdir()
    for one in name[mine]:
        shutil.copyfile(chips / one, bare / "chips" / one)
    for root in (source, bare):
        (root / "validation_part.csv").write_text("".join([rows[0], *kept]))
    done = run(
        *("run", bare, "--images", bare / "chips", "-o", tmp_path / "a"),
        *("--embedder", "dlib", "--align", "none"),
    )
    expected = run("run", source, "-o", tmp_path / "b")
    assert (done.exit_code, expected.exit_code) == (0, 0), done.output
    made = {path.name for path in (tmp_path / "a" / "tables").iterdir()}
    assert {"check_quality.csv", "check_duplicates.csv"} <= made
    for table in sorted(path.name for path in (tmp_path / "b" / "tables").iterdir()):
        if "sources" not in table:
            a, b = ((tmp_path / side / "tables" / table).read_text() for side in "ab")
            assert a == b, table


def test_the_images_of_a_release_are_found_and_measured(tmp_path):
    """Renders named by path, as CausalFace's are; the published systems' distances stay."""
    pytest.importorskip("pywt")
    root = cb.datasets.to_release(cb.simulate(5, random_seed=1), tmp_path / "release")
    study = cb.load("causalface", root)
    files = cb.recognition.images_of(study, root)
    assert all(path.is_file() for path in files.values())
    some = dict(list(files.items())[::7])
    filled = cb.recognition.with_distances(study, cb.embed(some, "wavelets", align="none"))
    machine, before = filled["machine"].to_dataset(), study["machine"].to_dataset()
    assert set(machine["system"].values) == {*before["system"].values, "wavelets"}
    pairs = cb.to_frame(filled, "pairs")
    embedded = (pairs["stimulus_a"].isin(list(some)) & pairs["stimulus_b"].isin(list(some))).values
    ok = machine["status"].sel(system="wavelets").values == "ok"
    assert np.array_equal(ok, embedded)
    for system in before["system"].values:
        assert machine["distance"].sel(system=system).equals(before["distance"].sel(system=system))


def test_images_of_looks_only_below_its_root(tmp_path, noisy_folder):
    faces = cb.datasets.stimuli_from_names(["f0", "f1"], "{seed}")
    study = cb.make_study(factors=["seed"], stimuli=faces)
    assert list(cb.recognition.images_of(study, noisy_folder)) == ["f0", "f1"]
    with pytest.raises(cb.DataError, match=r"'\.\./x.png' is outside the folder"):
        cb.make_study(factors=["seed"], stimuli=faces.assign(image=["f0.png", "../x.png"]))
    with pytest.raises(cb.DataError, match="none of the study's 1 faces"):
        cb.recognition.images_of(
            cb.make_study(
                factors=["seed"], stimuli=cb.datasets.stimuli_from_names(["zz"], "{seed}")
            ),
            noisy_folder,
        )


def test_a_face_without_an_image_and_a_path_as_windows_writes_it(tmp_path, noisy_folder):
    faces = cb.datasets.stimuli_from_names(["a", "b", "c", "d"], "{seed}").assign(
        image=[r"images\f0.png", "images/f1.png", "", "images/gone.png"]
    )
    study = cb.make_study(factors=["seed"], stimuli=faces)
    found = cb.recognition.images_of(study, tmp_path)
    assert {name: path.name for name, path in found.items()} == {"a": "f0.png", "b": "f1.png"}
    for outside in (r"..\x.png", "/etc/passwd", "../images/../../x.png"):
        with pytest.raises(cb.DataError, match=r"is outside the folder of images|lies outside"):
            cb.recognition.images_of(
                cb.make_study(factors=["seed"], stimuli=faces.assign(image=outside)),
                tmp_path / "images",
            )


def test_tables_of_faces_and_pairs_wait_for_an_embedder(noisy_folder, tmp_path):
    """One's own experiment as tidy tables, before anything is measured."""
    pytest.importorskip("pywt")
    (tmp_path / "stimuli.csv").write_text(
        "stimulus,seed,pose,image\n"
        + "".join(f"s{n},{n // 2},{n % 2},f{n}.png\n" for n in range(4))
    )
    (tmp_path / "pairs.csv").write_text("stimulus_a,stimulus_b\ns0,s1\ns2,s3\ns0,s2\n")
    study = cb.load("tidy", tmp_path, factors=["seed", "pose"])
    cube = cb.embed(cb.recognition.images_of(study, noisy_folder), "wavelets", align="none")
    rows = cb.to_frame(cb.recognition.with_distances(study, cube), "machine").set_index("pair")
    vectors = cube["embedding"].isel(system=0)
    for pair, row in rows.iterrows():
        a, b = (vectors.sel(stimulus=name).values for name in pair.split("~"))
        assert row["distance"] == pytest.approx(np.linalg.norm(a - b), rel=1e-6)
    assert rows["same_identity"].tolist() == [True, True, False]
