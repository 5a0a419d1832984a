"""Rows of answers, counted in pieces: the posterior of the rows themselves, and no silent loss."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

import causalbias as cb
from causalbias.errors import DataError
from causalbias.io import memory
from causalbias.model_checks.clustering import unmodelled_groupings
from causalbias.models.fitted import fitted
from causalbias.models.summaries.cells import Cells
from causalbias.models.summaries.tree import ROWS, _chance_of, cells_in

SETTINGS = {"draws": 100, "random_seed": 3}
TERMS = "race*level + (1|seed)"
WORDS = ["no", "maybe", "rather", "yes"]  # not in the order of the alphabet


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    n = 3000
    frame = pd.DataFrame(
        {
            "race": rng.choice(["b", "a", "c"], n, p=[0.6, 0.3, 0.1]),
            "seed": [f"{i:03d}" for i in rng.integers(0, 15, n)],
            "level": rng.integers(0, 4, n),
        }
    )
    eta = 0.3 * frame["level"] * (frame["race"] == "a")
    eta += rng.normal(0, 0.7, 15)[frame["seed"].astype(int)]
    frame["y"] = 2 + np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 2.0])
    frame["word"] = pd.Categorical(np.array(WORDS)[frame["y"] - 2], WORDS, ordered=True)
    frame["yes"] = frame["y"] > 3
    frame["tries"] = rng.integers(1, 3, n)
    frame["hits"] = rng.binomial(frame["tries"], 1 / (1 + np.exp(-eta)))
    frame["times"] = rng.integers(1, 3, n)
    return frame


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    found = tmp_path_factory.mktemp("rows")
    for i in range(3):  # the last file has no row of the highest category
        own = rows.iloc[i::3]
        own = own[own["y"] < 5] if i == 2 else own
        own.to_parquet(found / f"{i}.parquet", row_group_size=400)
    left = rows.iloc[2::3]
    left[left["y"] == 5].to_parquet(found / "3.parquet")
    rows.iloc[:0].to_parquet(found / "4.parquet")
    return found


def apart(one, other):
    """Largest distance of posterior means, in posterior standard deviations."""
    first, second = (fit["posterior"].to_dataset() for fit in (one, other))
    assert {name: first[name].dims for name in first} == {
        name: second[name].dims for name in second
    }
    over = ("chain", "draw")
    return max(
        float((abs((first[name] - second[name]).mean(over)) / first[name].std(over)).max())
        for name in first
    )


@pytest.mark.parametrize(
    ("response", "family", "given"),
    [
        ("y", "cumulative", {}),
        ("word", "cumulative", {"subset": "level != 3"}),
        ("yes", "bernoulli", {"counts": "times"}),
        ("p(hits, tries)", "binomial", {}),
    ],
)
def test_counts_of_files_have_the_posterior_and_the_default_priors_of_the_rows(
    rows, folder, response, family, given
):
    # Equal rows are merged in memory as well, so that the draws differ by rounding alone.
    formula = f"{response} ~ {TERMS}"
    one = cb.fit(formula, rows, family=family, **given, **SETTINGS)
    other = cb.fit(formula, folder, family=family, **given, **SETTINGS)
    assert apart(one, other) < 1e-8
    assert len(other["constant_data"][ROWS]) < 0.5 * len(rows)
    for key in ("n_rows", "n_observations", "n_excluded", "subset", "missing"):
        assert one.attrs[key] == other.attrs[key], key


def test_draws_are_those_of_merged_rows_with_their_counts_to_the_last_bit(rows, folder):
    priors = dict.fromkeys(["race", "level", "race:level", "threshold"], "Normal(0, 3)")
    priors["1|seed"] = "HalfNormal(1)"  # defaults would be scaled to merged rows as they stand
    given = {"family": "cumulative", "priors": priors, **SETTINGS}
    columns = ["y", "race", "level", "seed"]
    merged = rows.groupby(columns, as_index=False).size()
    one = cb.fit(f"y ~ {TERMS}", merged, counts="size", **given)
    other = cb.fit(f"y ~ {TERMS}", folder, **given)
    assert other["posterior"].to_dataset().equals(one["posterior"].to_dataset())
    assert other["constant_data"][ROWS].values.tolist() == merged["size"].tolist()


def test_counts_are_the_same_in_whatever_pieces_rows_come(rows, folder):
    dask = pytest.importorskip("dask.dataframe")
    formula = f"word ~ {TERMS}"
    whole = cb.summarise_rows(formula, rows, family="cumulative", min_rows=1)
    for data in (folder, dask.from_pandas(rows.sample(frac=1, random_state=1), 5)):
        found = cb.summarise_rows(formula, data, family="cumulative", min_rows=1)
        assert found.identical(whole)


def test_sites_add_up_and_small_cells_are_those_of_all_answers_together(rows, tmp_path):
    formula = "y ~ race + level"
    sites = []
    for i in range(3):
        own = cb.summarise_rows(formula, rows.iloc[i::3], family="cumulative")
        sites.append(cb.save(own, tmp_path / f"{i}.nc"))
    text = str(cb.open(sites[0]))
    assert "12 cells by race (3 levels), level (4 values); at least " in text
    assert text.endswith("number of rows with each y")
    cells, _ = cells_in(cb.open(sites[0]))
    assert cells.n.min() < 10  # of one answer, in a cell of ten rows or more
    together = cb.fit(formula, sites, family="cumulative", **SETTINGS)
    assert apart(cb.fit(formula, rows, family="cumulative", **SETTINGS), together) < 1e-8
    with pytest.raises(DataError, match="cells have fewer than 10 rows"):
        cb.summarise_rows(f"y ~ {TERMS}", rows, family="cumulative")
    with pytest.raises(DataError, match="rows would count twice"):
        cb.fit(formula, [sites[0], sites[0]], family="cumulative")
    same = cb.save(cb.open(sites[0]), tmp_path / "same.nc")  # of many cells: no chance
    with pytest.raises(DataError, match="rows would count twice"):
        cb.fit(formula, [sites[0], same], family="cumulative")
    summed = cb.summarise_rows(formula, rows.iloc[1::3])
    with pytest.raises(DataError, match="columns of the response that are counted"):
        cb.fit(formula, [cb.open(sites[0]), summed], family="cumulative")


def test_counted_rows_can_be_checked_and_no_column_of_counts_is_a_grouping(rows, folder):
    found = cb.fit(f"yes ~ {TERMS}", folder, family="bernoulli", **SETTINGS)
    assert ("summed_rows",) not in unmodelled_groupings(fitted(found))
    assert "category shares" in str(cb.check(found))
    wider = cb.update(found, ". ~ . - race:level")
    assert (
        apart(cb.fit("yes ~ race + level + (1|seed)", rows, family="bernoulli", **SETTINGS), wider)
        < 1e-8
    )


def test_what_cannot_be_counted_is_refused_with_file_and_row(rows, folder, tmp_path):
    part = rows.reset_index(drop=True)
    bad = part.assign(y=part["y"].astype(float), hits=part["hits"], text=part["word"].astype(str))
    bad.loc[700, "y"] = 2.5
    bad.loc[650, "hits"] = 9
    path = tmp_path / "bad.parquet"
    bad.assign(plain=pd.Categorical(bad["text"])).to_parquet(path, row_group_size=300)
    summed = cb.summarise_rows("y ~ race", rows)
    normal = cb.fit("y ~ race", summed, **SETTINGS)
    for call, match in (
        (lambda: cb.fit("y ~ race", path, family="cumulative"), r"bad.*'y', row 701: 2.5, but"),
        (lambda: cb.fit("p(hits, tries) ~ race", path, family="binomial"), r"'hits', row 651: 9 "),
        (lambda: cb.fit("text ~ race", path, family="cumulative"), "of text without an order"),
        (lambda: cb.fit("plain ~ race", path, family="cumulative"), "categories without an order"),
        (lambda: cb.fit("word ~ race", folder, family="bernoulli"), "needs 0 or 1"),
        (lambda: cb.fit("y ~ race", folder, family="bernoulli"), "needs 0 or 1"),
        (lambda: cb.fit("y ~ race", folder, family="t"), "family is 't'"),
        (lambda: cb.fit("y ~ race", folder, family="cumulative", weights="times"), "precisions"),
        (lambda: cb.fit("y ~ race", summed, family="cumulative"), "for a Gaussian model, and the"),
        (lambda: cb.update(normal, family="poisson"), "for a Gaussian model"),
        (
            lambda: cb.summarise_rows("y ~ level", rows, family="cumulative", moments=["level"]),
            "enough for Gaussian models only",
        ),
        (lambda: cb.summarise_rows("y ~ race", rows, family="ordinal"), "called 'cumulative'"),
    ):
        with pytest.raises(DataError, match=match):
            call()


def test_rows_that_memory_cannot_hold_are_refused_with_their_number(folder, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10_000.0)
    with pytest.raises(DataError, match=r"3,000 rows, read so far, are [0-9,]+ cells of 40 bytes"):
        cb.summarise_rows(f"y ~ {TERMS}", folder, family="cumulative", min_rows=1)


def test_an_edited_count_is_refused(rows, tmp_path):
    summary = cb.summarise_rows("y ~ race", rows, family="cumulative")
    assert cb.open(cb.save(summary, tmp_path / "one.nc")).identical(summary)
    other = summary.copy()
    other["sums"]["rows"] = other["sums"]["rows"] + 5
    with pytest.raises(DataError, match="other rows than its tally"):
        cb.open(cb.save(other, tmp_path / "two.nc"))


@pytest.mark.parametrize("n", [10, 17])
def test_sites_whose_few_counts_are_equal_by_chance_are_both_counted(n, tmp_path):
    site = pd.DataFrame({"race": list("ab") * n, "y": [0, 1] * (n - 3) + [1, 0] * 3})
    parts = [cb.summarise_rows("y ~ race", site, family="bernoulli") for _ in range(2)]
    with pytest.warns(UserWarning, match="summary 2 has the sums of summary 1"):
        fit = cb.fit("y ~ race", parts, family="bernoulli", draws=50)
    assert fit.attrs["n_rows"] == 4 * n
    path = cb.save(parts[0], tmp_path / "a.nc")
    for twice in ([parts[0]] * 2, [path, tmp_path / "." / "a.nc"]):
        with pytest.raises(DataError, match="would count twice"):
            cb.fit("y ~ race", twice, family="bernoulli", draws=50)


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=1, max_size=3))
def test_the_chance_of_equal_counts_is_that_of_multinomial_counts(counts):
    table = np.array([row if sum(row) else [1, 0, 0] for row in counts])
    cell, answer = np.nonzero(table)
    n = table[cell, answer]
    own = Cells({"g": cell, "y": answer}, n, np.empty((len(n), 0)), np.empty((len(n), 0, 0)))
    expected = np.prod([multinomial.pmf(row, row.sum(), row / row.sum()) for row in table])
    assert _chance_of(own, ["y"]) == pytest.approx(expected)


@pytest.mark.parametrize("written", ["10", "9", "text", "padded", "levels"])
def test_whole_numbers_as_text_are_the_answers_that_they_are_in_memory(tmp_path, written):
    """In the order of numbers, not of text."""
    rng = np.random.default_rng(0)
    y = rng.choice([2, 9, 10, 11], 400)
    frame = pd.DataFrame({"race": list("ab") * 200, "y": [f"{one:02d}" for one in y]})
    if written in ("10", "text"):
        frame["y"] = y.astype(str)
    if written == "9":
        frame["y"] = np.minimum(y, 9).astype(str)
    if written == "levels":
        frame["y"] = pd.Categorical(y.astype(str), ["9", "2", "11", "10"])
    given = {"family": "cumulative", "draws": 100}
    whole = cb.fit("y ~ race", frame, **given)
    frame.iloc[:200].to_parquet(tmp_path / "a.parquet")
    frame.iloc[200:].to_parquet(tmp_path / "b.parquet")
    pieces = cb.fit("y ~ race", tmp_path, **given)
    assert apart(whole, pieces) < 1e-8
    frame.assign(y=frame["y"].astype(str) + "th").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="without an order"):
        cb.fit("y ~ race", tmp_path / "a.parquet", **given)
