"""Editors that should keep identity: hand counts, known truth, untidy tables, the command."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import causalbias as cb
from causalbias.cli.main import app
from causalbias.report.page import write_report

COLUMNS = {
    "person": "person",
    "target": "target",
    "target_person": "target_person",
    "reference": "reference",
    "editor": "editor",
}
RACE = {
    "source_attributes": {"race": "source_race"},
    "target_attributes": {"race": "target_race"},
    "output_attributes": {"race": "output_race"},
}


def analyse(manifest, distances, **more):
    return cb.analyses.analyse_editing(
        manifest, distances, **{**COLUMNS, **RACE, "threshold": 0.7, "draws": 300} | more
    )


@pytest.fixture(scope="module")
def tables():
    return cb.simulation.simulate_editing(persons=24, failed=0.1)


@pytest.fixture(scope="module")
def found(tables):
    return analyse(*tables)


def distance_of(distances):
    return {
        frozenset((a, b)): value
        for a, b, value in distances[["image_a", "image_b", "distance"]].itertuples(index=False)
    }


def test_matches_and_means_are_those_counted_by_hand(tables, found):
    manifest, distances = tables
    known = distance_of(distances)
    race = dict(zip(manifest["source"], manifest["source_race"], strict=True))
    source = dict(zip(manifest["output"], manifest["source"], strict=True))
    for editor in ("first", "second"):
        for group in ("black", "white"):
            at = {"network": "network", "editor": editor, "group": group}
            rows = manifest[(manifest["editor"] == editor) & (manifest["source_race"] == group)]
            outputs = set(rows["output"])
            hand = {
                "source": [known[frozenset((r.output, r.source))] for r in rows.itertuples()],
                "target": [known[frozenset((r.output, r.target))] for r in rows.itertuples()],
                "genuine": [
                    known[frozenset(pair)]
                    for pair in {(r.source, r.reference) for r in rows.itertuples()}
                ],
                "impostor": [
                    r.distance
                    for r in distances.itertuples()
                    if r.image_a in outputs
                    and race.get(r.image_b) == group
                    and r.image_b != source[r.image_a]
                ],
            }
            for kind, values in hand.items():
                values = np.array(values, float)
                cell = found.matching.sel(kind=kind, **at)
                assert int(cell["n"]) == np.isfinite(values).sum()
                assert int(cell["failed"]) == np.isnan(values).sum()
                assert int(cell["matches"]) == (values <= 0.7).sum()
                mean = found.identity["mean"].sel(kind=kind, **at).median()
                assert float(mean) == pytest.approx(np.nanmean(values), abs=0.004)


def test_the_simulations_truth_is_within_its_intervals(tables, found):
    truth = pd.DataFrame(tables[0].attrs["truth"]).set_index(["editor", "group"])
    kept = found.identity.summary(0.99, of="kept").set_index(["editor", "group"])
    rate = found.matching.sel(kind="source", drop=True).summary(0.99)
    rate = rate.set_index(["editor", "group"])
    seen = found.seen.sel(seen_as="source", drop=True).summary(0.99).set_index(["editor", "level"])
    for key, row in truth.iterrows():
        for table, name in ((kept, "kept"), (rate, "rate"), (seen, "leak")):
            assert table.loc[key, "lower"] < row[name] < table.loc[key, "upper"]
    race = found.effects["race"].summary(0.99)  # white - black
    assert ((race["lower"] < -0.1) & (race["upper"] > -0.1)).all()
    editor = found.effects["editor"].summary(0.99).iloc[0]
    assert editor["lower"] < 0.075 < editor["upper"]
    # What is lost in two groups is as far from their mean.
    lost = found.lost["difference"]
    outputs = found.matching["n"].sel(kind="source", drop=True)
    assert bool((found.lost["n"] == outputs).all())
    assert found.lost["n"].sum() > 0
    np.testing.assert_allclose(lost.sum("group"), 0, atol=1e-12)


def test_order_of_rows_and_images_and_kinds_of_columns_are_no_matter(tables, found):
    manifest, distances = tables
    shuffled = distances.sample(frac=1, random_state=1).reset_index(drop=True)
    half = np.arange(len(shuffled)) % 2 == 0
    a, b = shuffled["image_a"], shuffled["image_b"]
    shuffled = shuffled.assign(image_a=a.where(half, b), image_b=b.where(half, a))
    levels = pd.CategoricalDtype(["white", "unused", "black"])
    other = manifest.sample(frac=1, random_state=2)
    other = other.astype({"source_race": levels, "person": "category", "editor": "string"})
    both = pd.concat(
        [shuffled, shuffled.rename(columns={"image_a": "image_b", "image_b": "image_a"})]
    )
    again = analyse(other, both, output_attributes={}, target_attributes={})
    assert again.matching["group"].values.tolist() == ["white", "black"]
    for name in ("matches", "n", "failed", "n_effective"):
        xr.testing.assert_allclose(
            again.matching[name].drop_attrs(),
            found.matching[name].sel(group=["white", "black"]).drop_attrs(),
        )


def test_embeddings_give_what_their_distances_give():
    random = np.random.default_rng(4)
    rows, points = [], {}
    for person in range(12):
        own = random.normal(size=6)
        for photo in ("s", "r"):
            points[f"{photo}{person}"] = own + random.normal(0, 0.2, 6)
        for swap in range(2):
            points[f"o{person}-{swap}"] = own + random.normal(0, 0.5, 6)
            rows.append((f"o{person}-{swap}", f"s{person}", f"r{person}", "ab"[person % 2]))
    manifest = pd.DataFrame(rows, columns=["output", "source", "reference", "group"])
    names = list(points)
    status = [["face not detected" if one == "o3-1" else "ok" for one in names]]
    cube = np.array([points[one] for one in names])
    cube[names.index("o3-1")] = np.nan
    embeddings = xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), cube[None]),
            "status": (("system", "stimulus"), status),
            "metric": ("system", ["euclidean"]),
            "threshold": ("system", [2.0]),
        },
        coords={"system": ["net"], "stimulus": names},
    )
    options = {"reference": "reference", "source_attributes": {"group": "group"}}
    options |= {"draws": 100, "person": "", "target": ""}
    from_cube = cb.analyses.analyse_editing(manifest, embeddings, **options)
    table = pd.DataFrame(
        [
            (one, other, float(np.linalg.norm(cube[i] - cube[j])), "net")
            for i, one in enumerate(names)
            for j, other in enumerate(names)
            if i < j
        ],
        columns=["image_a", "image_b", "distance", "network"],
    )
    from_table = cb.analyses.analyse_editing(
        manifest, table, network="network", threshold=2, **options
    )
    for name in ("matches", "n", "failed"):
        np.testing.assert_array_equal(from_cube.matching[name], from_table.matching[name])
    cell = from_cube.matching.sel(kind="impostor", group="a", drop=True)
    assert int(cell["n"].item()) + int(cell["failed"].item()) == 12 * 5
    assert int(from_cube.matching["failed"].sel(kind="source", group="b").item()) == 1


def test_rows_that_say_nothing_are_counted(tables):
    manifest, distances = tables
    odd = manifest.copy()
    odd.loc[0, "target"] = odd.loc[0, "source"]
    odd.loc[1, "target_person"] = odd.loc[1, "person"]
    odd.loc[2, "output"] = odd.loc[2, "source"]
    odd.loc[3, "source"] = None
    odd.loc[4, "output"] = "out/nowhere.png"
    odd.loc[5, ["target", "target_person", "output_race"]] = None  # a prompt, not classified
    counts = analyse(odd, distances).manifest.excluded.set_index("reason")["count"]
    assert counts["source and target are of one person"] == 2
    assert counts["the output is the source or target itself"] == 1
    assert counts["source is missing"] == 1
    assert counts["no distance to the source, of network"] == 1


def test_what_would_give_wrong_numbers_is_refused(tables):
    manifest, distances = tables
    first = manifest["source"].iloc[0]
    broken = {
        "is there twice": (pd.concat([manifest, manifest[:1]]), distances),
        "of several persons": (
            manifest.assign(source=manifest["source"].where(manifest.index > 20, first)),
            distances,
        ),
        "groups of race": (
            manifest.assign(source_race=["black", "white"] * (len(manifest) // 2)),
            distances,
        ),
        "similarities": (manifest, distances.assign(distance=1 - distances["distance"])),
        "two distances": (
            manifest,
            pd.concat([distances, distances[:1].assign(distance=3.0)]),
        ),
        "name images alike": (
            manifest.assign(output=manifest["output"].str.replace("out/", "")),
            distances,
        ),
        "5 persons": (manifest[manifest["person"].isin(["001", "002", "003"])], distances),
        "is no number": (manifest, distances.assign(distance="near")),
    }
    for said, (one, two) in broken.items():
        with pytest.raises(cb.DataError, match=said):
            analyse(one, two)
    with pytest.raises(cb.DataError, match="both a threshold"):
        analyse(manifest, distances, fmr=0.1)
    with pytest.raises(cb.DataError, match="has no threshold"):
        analyse(manifest, distances, threshold={"other": 0.5})
    with pytest.raises(cb.DataError, match="is given, and that of sources is not"):
        analyse(manifest, distances, source_attributes={})


def test_a_threshold_at_a_false_match_rate_is_that_of_the_impostors(tables):
    manifest, distances = tables
    found = analyse(
        manifest,
        distances,
        threshold=None,
        fmr=0.1,
        source_attributes={},
        target_attributes={},
        output_attributes={},
    )
    cells = found.matching.sel(kind="impostor", drop=True)
    assert float(cells["matches"].sum() / cells["n"].sum()) == pytest.approx(0.1, abs=0.002)
    assert found.matching["group"].values.tolist() == ["all"]
    assert found.lost is None
    assert found.seen is None
    assert list(found.effects) == ["editor"]


def test_one_group_one_editor_and_ids_with_zeros_make_a_report(tmp_path):
    manifest, distances = cb.simulation.simulate_editing(persons=12, editors=["swap"], failed=0)
    table = distances[distances["image_b"].str.startswith("source")].copy()
    for one in (manifest, table):  # outputs "00007", sources "007"
        for name in one.columns.intersection(["output", "source", "image_a", "image_b"]):
            one[name] = one[name].str.extract(r"(\d+)")[0]
    found = cb.analyses.analyse_editing(manifest, table, person="person")
    content = cb.analyses.editing_content(found)
    assert found.matching is None
    assert not found.fits
    assert "mean distance to the source" in content.findings[0]
    said = content.pictures[-1].caption
    assert "“source's group” on “distance” no measured columns are enough" in said
    assert int(found.identity["n"].sel(kind="source").sum()) == len(manifest)
    assert write_report(content, tmp_path).exists()


@pytest.mark.slow
def test_the_command_writes_what_the_call_finds(tables, found, tmp_path):
    files = [str(tmp_path / one) for one in ("manifest.csv", "distances.csv")]
    for table, file in zip(tables, files, strict=True):
        table.to_csv(file, index=False)
    options = [f"--{one.replace('_', '-')}={column}" for one, column in COLUMNS.items()]
    options += [f"--{of}-attribute=race={of}_race" for of in ("source", "target", "output")]
    out = tmp_path / "report"
    run = CliRunner().invoke(
        app,
        [
            "editing",
            *files,
            *options,
            "--network=network",
            "--threshold=network=0.7",
            "--draws=300",
            f"--out={out}",
        ],
    )
    assert run.exit_code in (0, 2), run.output
    table = pd.read_csv(out / "tables" / "matching.csv")
    wanted = cb.analyses.editing_content(found).results["matching"]
    assert table["matches"].tolist() == wanted["matches"].tolist()
    assert "lost more often" in " ".join(run.output.split())
