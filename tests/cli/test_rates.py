"""`causalbias rates`, `photos`, `doctor`, and `run` on other data, as a user types them."""

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import causalbias as cb
from causalbias.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def export(tmp_path, monkeypatch):
    """A foreign export in a folder of its own: semicolons, decimal commas, similarities."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(2)
    who = np.repeat(np.arange(24), 2)
    one, two = np.triu_indices(48, k=1)
    ethnic = np.where(np.arange(24) < 12, "Süd", "Nord")
    same = who[one] == who[two]
    inside = (ethnic[who[one]] == "Süd") & (ethnic[who[two]] == "Süd")
    score = draw.normal(np.where(same, 0.8, np.where(inside, 0.4, 0.1)), 0.12).clip(0, 1)
    table = pd.DataFrame(
        {
            "Probe Subject": [f"00{who[at]}" for at in one],
            "Gallery Subject": [f"00{who[at]}" for at in two],
            "Probe File": [f"f{at}" for at in one],
            "Gallery File": [f"f{at}" for at in two],
            "Probe Ethnicity": ethnic[who[one]],
            "Gallery Ethnicity": ethnic[who[two]],
            "Similarity": score.round(4),
            "Mated": np.where(same, "genuine", "impostor"),
        }
    )
    table.to_csv("export.csv", sep=";", decimal=",", index=False)
    return table


def test_a_foreign_export_is_a_report_after_one_command(export, tmp_path):
    done = run("rates", "export.csv", "--threshold", "0.45")
    assert done.exit_code == 0, done.output
    assert "group: ethnicity: Gallery Ethnicity and Probe Ethnicity (by name)" in done.output
    assert "scores are similarities: Similarity (by name, and genuine pairs" in done.output
    assert "most often in the group Süd" in done.output
    assert "The difference is clear" in done.output
    found = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    at = found["operating_points"][0]["thresholds"]["the system"]
    part = export[(export["Mated"] == "impostor") & (export["Similarity"] >= at)]
    for row in found["rates"]:
        if row["rate_of"] == "FMR":
            both = (part[["Probe Ethnicity", "Gallery Ethnicity"]] == row["group"]).all(axis=1)
            assert row["errors"] == both.sum()
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Süd" in page
    assert 'src="http' not in page


def test_errors_are_one_line_that_says_what_to_write(export):
    done = run("rates", "export.csv")
    assert done.exit_code == 1
    assert "give --threshold, in units of the score, or --fmr 0.001" in done.output
    done = run("rates", "export.csv", "--group", "age", "--fmr", "0.05")
    assert "has age" in done.output
    done = run("rates", "export.csv", "--threshold", "high")
    assert "'high' is no number" in done.output
    done = run("rates", "export.csv", "--distance", "--threshold", "0.5")
    assert "genuine pairs are further apart than impostors" in done.output
    done = run("run", "export.csv")
    assert done.exit_code == 1
    assert "causalbias rates export.csv" in done.output
    assert "no data" in run("run").output


def test_groups_come_from_a_table_of_subjects(export):
    people = pd.DataFrame({"subject": export["Probe Subject"].unique()[:-1]})
    people["sex"] = np.where(np.arange(len(people)) % 2, "f", "m")
    people.to_csv("people.csv", index=False)
    done = run("rates", "export.csv", "--subjects", "people.csv", "--group", "sex", "--fmr", "1e-9")
    assert "are too few for a false match rate" in done.output
    assert "1 of 24 ids of persons are not in people.csv" in done.output
    assert "'0023'" in done.output
    assert "comparisons of a person without sex" in done.output


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Three images of each of sixteen persons, and two whose names do not fit."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(3)
    folder = tmp_path / "faces"
    folder.mkdir()
    for person in range(16):
        own = draw.integers(0, 256, (8, 8, 3))
        for n in range(3):
            pixels = np.clip(own + draw.normal(0, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
            race = "x" if person < 8 else "y"
            image = Image.fromarray(pixels).resize((64, 64))
            image.save(folder / f"p{person:02d}_{race}_{n}.png")
    image.save(folder / "p_16_x_1.png")
    image.save(folder / "notes.png")
    return folder


@pytest.mark.skipif(find_spec("pywt") is None, reason="needs PyWavelets")
def test_photographs_are_a_report_after_one_command_and_resume(faces, tmp_path):
    command = ("photos", faces, "--names", "{person}_{race}_{n}", "--fmr", "0.05")
    wavelets = ("--embedder", "wavelets", "--align", "none")
    done = run(*command, *wavelets)
    assert done.exit_code == 0, done.output
    assert "2 of 50 images do not fit {person}_{race}_{n}: 'notes', 'p_16_x_1'" in done.output
    found = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert found["data"]["counts"][0]["persons"] == 8
    assert found["data"]["counts"][0]["genuine"] == 8 * 3
    assert found["data"]["counts"][0]["impostor"] == 24 * 23 / 2 - 24
    store = tmp_path / "report" / "embeddings.sqlite"
    before = store.stat().st_size
    table = pd.DataFrame({"file": [f"{one.stem}.png" for one in faces.glob("p??_*")]})
    table = table.assign(subject=table.file.str[:3], race=table.file.str[4])
    table.to_csv("images.csv", index=False)
    again = run("photos", faces, "--table", "images.csv", "--fmr", "1e-9", *wavelets)
    assert "equivalent to" in again.output
    assert store.stat().st_size == before  # nothing was embedded again
    photos = cb.recognition.photo_faces(faces, table="images.csv")
    named = cb.recognition.photo_faces(faces, names="{person}_{race}_{n}")
    assert photos.people.to_dict() == named.people.loc[photos.people.index].to_dict()


def test_photographs_without_who_is_on_them_are_refused(faces):
    assert "give --names" in run("photos", faces).output
    done = run("photos", faces, "--names", "{person}{race}")
    assert "nothing between {person} and {race}" in done.output
    assert "has no person" in run("photos", faces, "--names", "{who}_{race}_{n}").output
    assert "causalbias photos" in run("run", faces).output


def test_version_completion_and_doctor():
    assert run("--version").output.strip() == f"causalbias {cb.__version__}"
    assert "--install-completion" in run("--help").output
    done = run("doctor")
    assert done.exit_code == 0
    for text in (cb.__version__, "CPUs", "numpy", "onnxruntime", "needed for", "cache"):
        assert text in done.output


def test_a_threshold_of_one_system_is_not_that_of_another(export):
    export.assign(Other_Similarity=export["Similarity"] / 2).to_csv("two.csv", index=False)
    both = ("rates", "two.csv", "--score", "Similarity,Other_Similarity", "--similarity")
    done = run(*both, "--threshold", "Other=0.3")
    assert done.exit_code == 1
    assert "no system is called 'Other'" in done.output
    done = run(*both, "--threshold", "Other_Similarity=0.3")
    assert "system 'Similarity' has no threshold" in done.output


def test_two_thresholds_of_one_system_are_one_too_many(export):
    done = run("rates", "export.csv", "--threshold", "0.45", "--threshold", "0.6")
    assert done.exit_code != 0
    assert "the system has another threshold already" in " ".join(done.output.split())
