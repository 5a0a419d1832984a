"""Untidy tables through the whole line, beside a plain pandas computation on text ids.

Ids in every style that people write, groups of every dtype, levels in any order, some of them
unused, cells without rows and cells that are missing: what comes out is what pandas finds where
ids are text, missing is nobody, and the levels keep the order of the data.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalbias as cb

# pytensor raises Python's recursion limit when it compiles its first function.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit")
FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FLAT = {"Intercept": "Flat()", "group": "Flat()"}

# Ten ids a style: what a table holds, and the texts that they are.
IDS = {
    "leading zeros": pd.Series(["1", "01", "001", "10", "010", "0", "00", "2", "02", "20"]),
    "exponents": pd.Series(
        ["1E5", "1e5", "100000", "1E05", "1e+5", "1E6", "2E5", "3", "30", "3E1"]
    ),
    "beyond doubles": pd.Series(2**53 + 1 + np.arange(10)),
    "unsigned": pd.Series(np.uint64(2**63) + np.arange(10, dtype=np.uint64)),
    "nullable numbers": pd.Series(np.arange(10) + 2**60, dtype="Int64"),
    "small numbers": pd.Series(np.arange(10, dtype=np.int8) - 3),
    "text": pd.Series(["Ann", "ann", "Bo", "b o", "b-o", "Zoë", "李", "n", "nan1", "é"]),
    "arrow": pd.Series([f"s{k}" for k in range(10)], dtype="string[pyarrow]"),
    "categorical": pd.Series(pd.Categorical(list("jihgfedcba"), list("abcdefghijk"))),
}


@dataclass(frozen=True)
class Grouped:
    """A column of groups as a table may hold it, and what it must mean.

    Attributes
    ----------
    column : Series
    label : Series of str
        The text of each row's level.
    order : list of str
        The levels that occur, the reference first.
    """

    column: pd.Series
    label: pd.Series
    order: list[str]


def _grouped(style: str, codes: np.ndarray, order: list[int]) -> Grouped:
    """Groups of three levels, given by codes; categoricals have the levels in this order."""
    names = np.array(["white", "Asian", "black"])
    match style:
        case "text" | "str" | "string" | "string[pyarrow]" | "object":
            dtype = "str" if style == "text" else style
            label = pd.Series(names[codes])
            return Grouped(label.astype(dtype), label, sorted(set(label)))
        case "categorical" | "ordered":
            levels = [*names[order][:2], "unused", names[order][2]]
            column = pd.Series(pd.Categorical(names[codes], levels, ordered=style == "ordered"))
        case "numbers as categories":
            values = np.array([10, 2, 0])
            column = pd.Series(pd.Categorical(values[codes], values[order]))
        case "boolean" | "bool":
            column = pd.Series(codes == 0, dtype=style)
            return Grouped(column, column.astype(str), sorted({str(one == 0) for one in codes}))
        case "intervals":
            column = pd.cut(pd.Series([5, 15, 25])[codes].reset_index(drop=True), [0, 10, 20, 30])
    used = [str(one) for one in column.cat.categories if (column == one).any()]
    return Grouped(column, column.astype(object).map(str), used)


STYLES = [
    "text",
    "object",
    "string",
    "string[pyarrow]",
    "categorical",
    "ordered",
    "numbers as categories",
    "bool",
    "boolean",
    "intervals",
]


@st.composite
def groups(draw, rows: int) -> Grouped:
    """A column of groups of which at least two levels occur."""
    codes = draw(
        st.lists(st.integers(0, 2), min_size=rows, max_size=rows).filter(
            lambda found: len({one == 0 for one in found}) > 1
        )
    )
    return _grouped(
        draw(st.sampled_from(STYLES)), np.array(codes), draw(st.permutations([0, 1, 2]))
    )


@FEW
@given(st.data())
def test_effects_are_differences_of_means_in_the_order_of_the_data(data):
    grouped = data.draw(groups(24))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    frame = pd.DataFrame({"group": grouped.column, "distance": rng.gamma(4, 0.1, 24)})
    frame.index = rng.permutation(24)  # an index says nothing
    effects = cb.effects(cb.fit("distance ~ group", frame, draws=500, priors=FLAT), "group")
    table = cb.summarise(effects)
    reference, *others = grouped.order
    assert table["group"].astype(str).tolist() == others
    assert set(table["reference"].astype(str)) == {reference}
    means = frame["distance"].groupby(grouped.label.to_numpy()).mean()
    for row in table.itertuples():
        noise = row.sd / np.sqrt(2000)
        assert abs(row.estimate - (means[row.group] - means[reference])) < 6 * noise


@FEW
@given(st.data())
def test_a_missing_group_is_an_error_that_names_the_row(data):
    grouped = data.draw(groups(12))
    row = data.draw(st.integers(0, 11))
    column = grouped.column.astype("boolean") if grouped.column.dtype == bool else grouped.column
    column = column.copy()
    column.iloc[row] = pd.NA if column.dtype in ("boolean", "string") else None
    frame = pd.DataFrame({"group": column, "distance": np.linspace(0.1, 1, 12)})
    with pytest.raises(cb.DataError) as found:
        cb.fit("distance ~ group", frame, draws=100)
    assert (found.value.column, found.value.row) == ("group", row + 1)


@dataclass(frozen=True)
class Tables:
    """Stimuli, pairs and distances as tables; and what they mean, ids as text."""

    stimuli: pd.DataFrame
    pairs: pd.DataFrame
    distances: pd.DataFrame
    meant: pd.DataFrame


@st.composite
def tables(draw, styles=tuple(IDS)) -> Tables:
    """An experiment: seeds by groups, some of the faces missing, and some of the distances."""
    style = draw(st.sampled_from(styles))
    n = draw(st.integers(3, 6))
    which = np.array(draw(st.permutations(range(10))))[:n]
    seeds = IDS[style].iloc[which]
    texts = IDS[style].astype(object).map(str).iloc[which].to_numpy()
    cells = [(seed, code) for seed in range(n) for code in range(3)]
    kept = draw(st.sets(st.sampled_from(cells), min_size=len(cells) - 4).map(sorted))
    seed, code = (np.array(one) for one in zip(*kept, strict=True))
    name = draw(st.sampled_from([one for one in STYLES if not one.startswith("bool")]))
    grouped = _grouped(name, code, draw(st.permutations([0, 1, 2])))
    stimulus = np.array([f"0{k}" for k in range(len(kept))])
    stimuli = pd.DataFrame({"stimulus": stimulus, "group": grouped.column})
    stimuli["seed"] = seeds.iloc[seed].array
    a, b = np.triu_indices(len(kept), 1)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    swap = rng.random(len(a)) < 0.5
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    same = texts[seed[a]] == texts[seed[b]]
    distance = np.where(same, rng.uniform(0.1, 0.7, len(a)), rng.uniform(0.4, 1.2, len(a)))
    failed = rng.random(len(a)) < 0.1
    pairs = pd.DataFrame({"stimulus_a": stimulus[a], "stimulus_b": stimulus[b]})
    pairs["pair"] = [f"{k:03}" for k in range(len(a))]
    distances = pd.DataFrame({"system": "007", "pair": pairs["pair"]})
    distances["distance"] = np.where(failed, np.nan, distance)
    distances["status"] = np.where(failed, "no face found", "ok")
    label = grouped.label.to_numpy()
    meant = pd.DataFrame(
        {
            "pair": pairs["pair"],
            "seed_a": texts[seed[a]],
            "seed_b": texts[seed[b]],
            "group_a": label[a],
            "group_b": label[b],
            "same_identity": same,
            "distance": distances["distance"],
        }
    )
    meant.attrs["order"] = grouped.order
    return Tables(stimuli, pairs, distances, meant)


def _study(made: Tables) -> cb.Study:
    return cb.make_study(
        factors=["seed", "group"], stimuli=made.stimuli, pairs=made.pairs, distances=made.distances
    )


def _assert_meant(study, meant: pd.DataFrame) -> None:
    found = cb.to_frame(study, "machine").sort_values("pair", ignore_index=True)
    for name in ("seed_a", "seed_b", "group_a", "group_b"):
        assert found[name].astype(object).map(str).tolist() == meant[name].tolist()
    assert found["same_identity"].tolist() == meant["same_identity"].tolist()
    np.testing.assert_array_equal(found["distance"], meant["distance"])
    assert set(found["system"]) == {"007"}


@FEW
@given(tables())
def test_a_study_knows_who_is_who(made):
    study = _study(made)
    _assert_meant(study, made.meant)
    with tempfile.TemporaryDirectory() as folder:
        cb.save(study, Path(folder) / "study.nc")
        _assert_meant(cb.open(Path(folder) / "study.nc"), made.meant)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
@FEW
@given(made=tables())
def test_files_know_who_is_who(ending, made):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("stimuli", "pairs", "distances"):
            table, path = getattr(made, name), Path(folder) / f"{name}.{ending}"
            if ending == "parquet":
                if name == "stimuli":  # no Parquet file holds categories of intervals
                    table = table.assign(group=table["group"].astype(object).map(str))
                table.to_parquet(path)
            else:
                table.to_csv(path, index=False, sep="," if ending == "csv" else "\t")
        _assert_meant(cb.load("tidy", folder, factors=["seed", "group"]), made.meant)


@FEW
@given(tables())
def test_error_rates_are_counts_on_text_ids(made):
    threshold = 0.55
    rates = cb.error_rates(_study(made), by="group", threshold=threshold, draws=50)
    ok = made.meant[made.meant["distance"].notna() & (made.meant.group_a == made.meant.group_b)]
    for kind, name in ((False, "FMR"), (True, "FNMR")):
        rows = ok[ok["same_identity"] == kind]
        for label, of_group in rows.groupby("group_a"):
            matches = int((of_group["distance"] <= threshold).sum())
            one = rates.sel(rate_of=name, system="007").isel(
                group=rates["group"].astype(str).values.tolist().index(label)
            )
            assert int(one["n"]) == len(of_group)
            assert int(one["errors"]) == (len(of_group) - matches if kind else matches)
    order = [
        one for one in made.meant.attrs["order"] if one in set(rates["group"].astype(str).values)
    ]
    assert rates["group"].astype(str).values.tolist() == order


@FEW
@given(st.data())
def test_missing_is_nobody_and_no_group(data):
    """A plain frame of pairs whose ids and groups are missing here and there."""
    made = data.draw(tables(["leading zeros", "text", "beyond doubles"]))
    failed = made.meant["distance"].isna()
    frame = made.meant.assign(status=failed.map({True: "no face found", False: "ok"}))
    columns = ["seed_a", "seed_b", "group_a", "group_b"]
    cells = data.draw(
        st.sets(st.tuples(st.integers(0, len(frame) - 1), st.sampled_from(columns)), max_size=6)
    )
    for row, name in cells:
        frame.loc[row, name] = None
    known = frame.dropna()
    known = known[known["group_a"] == known["group_b"]]
    if known["same_identity"].all():
        return
    rates = cb.error_rates(frame, by="group", threshold=0.55, draws=50)
    for (label, same), rows in known.groupby(["group_a", "same_identity"]):
        one = rates.sel(rate_of="FNMR" if same else "FMR", group=label, system="system")
        matches = int((rows["distance"] <= 0.55).sum())
        assert int(one["n"]) == len(rows)
        assert int(one["errors"]) == (len(rows) - matches if same else matches)


@settings(FEW, max_examples=8)
@given(tables())
def test_a_fit_of_a_study_has_the_effects_that_pandas_finds(made):
    rows = made.meant[made.meant["distance"].notna() & (made.meant.group_a == made.meant.group_b)]
    order = [one for one in made.meant.attrs["order"] if one in set(rows["group_a"])]
    if len(order) < 2:
        return
    fit = cb.fit(
        "distance ~ group",
        _study(made),
        draws=500,
        priors=FLAT,
        subset="status == 'ok' and not same_identity and group_a == group_b",
    )
    rows = rows[~rows["same_identity"]]
    order = [one for one in order if one in set(rows["group_a"])]
    table = cb.summarise(cb.effects(fit, "group"))
    assert [*set(table["reference"].astype(str)), *table["group"].astype(str)] == order
    means = rows.groupby("group_a")["distance"].mean()
    for row in table.itertuples():
        difference = means[str(row.group)] - means[order[0]]
        assert abs(row.estimate - difference) < 6 * row.sd / np.sqrt(2000)
