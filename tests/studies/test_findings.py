"""Findings on real data that simple means do not show: the pages' code, and their numbers."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb

DOCS = Path(__file__).parents[2] / "docs"


def run_code_of(page, folder, monkeypatch):
    """Run a page's blocks of Python that are not run by the site, in the folder of the data."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(folder)
    names = {"cb": cb}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    return names


def needs(data_root, name):
    if not (data_root / name).is_dir():
        pytest.skip(f"{data_root} lacks {name}; see CAUSALBIAS_DATA")


def interval_in(page, row):
    """Estimate and ends in a row of a page's table, `0.1 (-0.2 to 0.3)`."""
    number = r"(-?[\d.]+)"
    found = re.search(
        rf"^\| {re.escape(row)} \| {number} \({number} to {number}\) \|",
        page.read_text(),
        re.MULTILINE,
    )
    assert found, row
    return [float(one) for one in found.groups()]


@pytest.mark.slow
def test_pairs_of_two_genders_agree_less_only_by_the_noise_of_judgements(data_root, monkeypatch):
    needs(data_root, "facesim3d")
    page = DOCS / "howto" / "metrics-against-people.md"
    names = run_code_of(page, data_root, monkeypatch)
    said = interval_in(page, "correlation")
    # Draws of a quantile: its error is some hundredths of the interval's width.
    found = names["difference"].quantile([0.5, 0.025, 0.975]).to_numpy().ravel()
    np.testing.assert_allclose(found, said, atol=0.003)
    assert found[2] < 0
    corrected = names["found"]["corrected"]
    alone = (corrected.sel(group="female") + corrected.sel(group="male")) / 2
    difference = corrected.sel(group="female and male") - alone
    found = difference.quantile([0.5, 0.025, 0.975]).to_numpy().ravel()
    np.testing.assert_allclose(found, interval_in(page, "over the ceiling"), atol=0.003)
    assert found[1] < 0 < found[2]


@pytest.mark.slow
def test_one_own_group_effect_of_five_is_clear_where_raters_are_the_sample(data_root):
    """Against means by rater and Welch's interval: a rater rated 50 faces of one gender."""
    needs(data_root, "3dsk")
    page = (DOCS / "howto" / "ratings.md").read_text()
    table = pd.read_csv(data_root / "3dsk" / "raw_3dsk_info.csv")
    names = {
        "att": "attractiveness",
        "dom": "dominance",
        "health": "health",
        "sexdim": "sexual dimorphism",
        "trust": "trustworthiness",
    }
    clear = []
    for trait, part in table.groupby("trait"):
        groups = ["face_gender", "rater_gender"]
        raters = part.groupby([*groups, "rater_id"])["rating"].mean()
        cell = raters.groupby(groups).agg(["mean", "var", "size"])
        own = np.array([0.5 if one == other else -0.5 for one, other in cell.index])
        effect = own @ cell["mean"]
        parts = own**2 * cell["var"] / cell["size"]
        freedom = parts.sum() ** 2 / (parts**2 / (cell["size"] - 1)).sum()
        half = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())
        said = re.search(
            rf"^\| {names[trait]} \| (\S+) \| \S+ to \S+ \| (\S+) to (\S+) \|", page, re.MULTILINE
        )
        assert said, trait
        expected = [effect, effect - half, effect + half]
        np.testing.assert_allclose([float(one) for one in said.groups()], expected, atol=0.0051)
        if abs(effect) > half:
            clear.append(trait)
    assert clear == ["health"]
    health = table[table["trait"] == "health"]
    found = cb.analyses.analyse_ratings(
        health,
        item="face_id",
        rater="rater_id",
        rating="rating",
        item_group="face_gender",
        rater_group="rater_gender",
        draws=250,
    )
    effect = found.own_group.summary().iloc[0]
    assert effect["estimate"] == pytest.approx(0.26, abs=0.03)
    assert effect["lower"] > 0


@pytest.mark.slow
def test_the_code_of_the_omi_page_runs_and_finds_its_row(omi, monkeypatch):
    names = run_code_of(DOCS / "omi.md", omi.parent, monkeypatch)
    found = cb.summarise(names["compared"].sel(unit="residual sd"))
    said = re.search(r"^\| age \| .* \| (-?[\d.]+) \(", (DOCS / "omi.md").read_text(), re.MULTILINE)
    assert said
    assert found["estimate"].item() == pytest.approx(float(said[1]), abs=0.15)
