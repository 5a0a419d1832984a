"""Error rates of plain frames of any dtype, order and missingness, against pandas on text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.rates.matching import matches, share_matching, steps

from .test_error_rates import both_kinds, random_faces


def faces(rng, n=24):
    """Seeds and groups as text, and all impostor pairs with two genuine ones a seed."""
    random = np.random.default_rng(rng)
    first, second = np.triu_indices(n, 1)
    first, second = (np.concatenate([one, np.repeat(np.arange(n), 2)]) for one in (first, second))
    same = first == second
    distance = np.where(same, 0.4, 0.8) + random.normal(0, 0.15, len(first))
    return pd.DataFrame(
        {
            "seed_a": first,
            "seed_b": second,
            "same_identity": same,
            "distance": distance.clip(0.001).round(2),
        }
    ), random.integers(0, 3, n)


DAYS = ["2020-01-02", "2019-01-01", "2021-05-05"]
STYLES = {
    "text": lambda code: np.array(["01", "1", "1E5"], dtype=object)[code],
    "numbers": lambda code: np.array([10, 9, 2])[code],
    "decimals": lambda code: np.array([0.5, -1.25, 3.0])[code],
    "truths": lambda code: code > 0,
    "nullable": lambda code: pd.array(np.array([10, 9, 2])[code], dtype="Int64"),
    "large": lambda code: np.array([2**60 + 1, 2**60 + 2, 3])[code],
    "categories": lambda code: pd.Categorical.from_codes(code, ["z", "y", "x", "unused"][:4]),
    "intervals": lambda code: pd.cut(code, [-1, 0, 1, 2]),
    "dates": lambda code: pd.to_datetime(
        np.array(["2020-01-02", "2019-01-01", "2021-05-05"])[code]
    ),
    "arrow": lambda code: pd.array(np.array(["b", "a", "c"])[code], dtype="string"),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10_000),
    st.sampled_from(sorted(STYLES)),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["int", "text", "zeros", "float"]),
)
@example(154, "arrow", False, False, "int")
def test_counts_are_those_of_pandas_on_text(rng, style, holes, swap, ids):
    frame, group = faces(rng)
    random = np.random.default_rng(rng)
    labels = pd.Series(STYLES[style](group))
    for side in "ab":
        own = labels.iloc[frame[f"seed_{side}"]].reset_index(drop=True)
        if holes:
            own = (
                own.astype(object).where(random.random(len(own)) > 0.1, None)
                if style not in ("categories", "intervals", "dates", "nullable", "arrow")
                else own.mask(random.random(len(own)) < 0.1)
            )
        frame[f"g_{side}"] = own
        seed = frame[f"seed_{side}"]
        frame[f"seed_{side}"] = {
            "int": seed,
            "text": "s" + seed.astype(str),
            "float": seed.astype(float),
            "zeros": seed.map(lambda one: "0" * (one % 3) + str(one // 3)),
        }[ids]
    if swap:  # members have no order
        turned = random.random(len(frame)) < 0.5
        for name in ("seed", "g"):
            a, b = frame[f"{name}_a"].copy(), frame[f"{name}_b"].copy()
            frame[f"{name}_a"], frame[f"{name}_b"] = a.where(~turned, b), b.where(~turned, a)
    rates = cb.error_rates(frame, "g", threshold=0.6, draws=20)
    written = (lambda one: str(one.date())) if style == "dates" else str  # as in ISO 8601
    text = frame.assign(
        **{f"g_{side}": frame[f"g_{side}"].map(written, na_action="ignore") for side in "ab"}
    )
    known = text.dropna(subset=["g_a", "g_b"])
    within = known[known["g_a"] == known["g_b"]]
    for kind, rows in (("FMR", ~within["same_identity"]), ("FNMR", within["same_identity"])):
        wrong = (within["distance"] <= 0.6) == (kind == "FMR")
        table = within[rows].assign(wrong=wrong).groupby("g_a")["wrong"].agg(["sum", "size"])
        for one in rates["g"].values:
            own = rates.sel(g=one, rate_of=kind, system="system")
            # 3.0 is the label 3; a group of one seed has no impostor pairs.
            keys = {str(one)} & set(table.index) or {k for k in table.index if _same(k, one)}
            if keys:
                assert [int(own["errors"]), int(own["n"])] == table.loc[keys.pop()].tolist()
            else:
                assert not own["n"] > 0
    if holes:
        assert f": {len(frame) - len(known)}" in rates.attrs["left_out"]
    if style == "categories":
        assert rates["g"].values.tolist() == ["z", "y", "x"]
    if style == "numbers":
        assert rates["g"].values.tolist() == sorted({10, 9, 2} & set(labels))


def _same(name, one):
    try:
        return float(name) == float(one)
    except ValueError:
        return False


def test_a_pair_matches_at_the_threshold():
    distance, at = np.array([0.1, 0.2, 0.2, 0.3, np.inf]), np.array([0.05, 0.2, 0.25])
    by_hand = np.array([[matches(one, limit) for one in distance] for limit in at])
    np.testing.assert_array_equal(share_matching(distance, at), by_hand.mean(axis=1))
    np.testing.assert_array_equal(steps(distance, at), (~by_hand).sum(axis=0))
    frame = random_faces(20, rng=1).assign(distance=0.6)
    assert int(cb.error_rates(frame, "race", threshold=0.6)["errors"].sum()) > 0
    assert int(cb.error_rates(frame, "race", threshold=0.5999)["errors"].sum()) == 0


@pytest.mark.parametrize("kind", ["float16", "float32", "Float32", "float64"])
def test_a_distance_of_any_precision_matches_at_the_threshold_written_alike(kind):
    written = np.array([0.1, 0.35, 0.6, 0.7])
    narrow = written.astype(kind.lower())
    for at in written:
        wanted = (written <= at).tolist()
        assert matches(narrow, at).tolist() == wanted
        assert (steps(narrow, np.array([at])) == 0).tolist() == wanted
        assert share_matching(narrow, np.array([at]))[0] == np.mean(wanted)
    frame = random_faces(20, rng=1)
    frame["distance"] = pd.Series(np.resize(written, len(frame))).astype(kind)
    for at in written[:-1]:
        errors = cb.error_rates(frame, "race", threshold=float(at), draws=5)["errors"].sum()
        within = frame["race_a"] == frame["race_b"]
        assert int(errors) == int((within & (np.resize(written, len(frame)) <= at)).sum())


def test_a_threshold_counts_what_the_same_threshold_counts_elsewhere():
    """Of one set of distances: rates, thresholds at a target, and all pairs of embeddings."""
    vectors = np.random.default_rng(3).integers(0, 4, (40, 3)).astype(float)
    first, second = np.triu_indices(40, 1)
    distance = np.sqrt(np.square(vectors[first] - vectors[second]).sum(axis=1))
    frame = pd.DataFrame(
        {"seed_a": first, "seed_b": second, "distance": distance, "same_identity": False, "g": "x"}
    )
    at = float(cb.threshold_at(frame, 0.1)["point"].item())
    assert at in distance
    pairs = int(cb.all_pairs(vectors, ["x"] * 40, thresholds=at)["matches"].sum())
    rates = cb.error_rates(frame, "g", threshold=at)
    assert pairs == int(rates["errors"].item()) == (distance <= at).sum()
    assert pairs <= 0.1 * len(frame) < (distance <= distance[distance > at].min()).sum()


def similarities(rng, n=60):
    frame = both_kinds(n, rng)
    return frame.assign(distance=frame["distance"].max() - frame["distance"])


@pytest.mark.parametrize(
    "verb",
    [
        lambda one: cb.error_rates(one, "race", threshold=1.0),
        lambda one: cb.det(one, "race"),
        lambda one: cb.equal_error_rate(one, "race"),
        lambda one: cb.threshold_at(one, 0.1),
        lambda one: cb.rates.group_pair_rates(one, "race", threshold=1.0),
        lambda one: cb.rates.score_histograms(one, "race"),
    ],
)
def test_similarities_in_place_of_distances_are_refused(verb):
    with pytest.raises(DataError, match=r"similarities.*1 - similarity"):
        verb(similarities(1))


def test_a_system_that_tells_nobody_apart_is_no_error():
    for rng in range(10):
        frame = both_kinds(30, rng)
        shuffled = np.random.default_rng(rng).permutation(frame["distance"])
        cb.error_rates(frame.assign(distance=shuffled), "race", threshold=2.0, draws=5)


def with_faces(frame):
    count = frame.groupby("seed_a").cumcount().astype(str)
    return frame.assign(
        stimulus_a=frame["seed_a"].astype(str) + "_0",
        stimulus_b=frame["seed_b"].astype(str)
        + np.where(frame["same_identity"], "_1" + count, "_0"),
    )


def test_a_face_beside_itself_and_a_pair_twice_are_errors():
    frame = with_faces(both_kinds(12, 1))
    last = frame.iloc[[-1]]
    beside = last.assign(stimulus_b=last["stimulus_a"])
    turned = last.assign(stimulus_a=last["stimulus_b"], stimulus_b=last["stimulus_a"])
    plain = frame.drop(columns=["stimulus_a", "stimulus_b"])
    impostors = plain[~plain["same_identity"]]
    swapped = impostors.rename(
        columns={"seed_a": "seed_b", "seed_b": "seed_a", "race_a": "race_b", "race_b": "race_a"}
    )
    for rows, told in (
        (pd.concat([frame, beside]), f"row {len(frame) + 1}: face '11_0' is beside itself"),
        (pd.concat([frame, turned]), f"first in row {len(frame)}"),
        (pd.concat([frame, last]), "there again"),
        (pd.concat([plain.assign(pair="p")]), "there again"),
        (pd.concat([impostors, swapped]), "both orders"),
    ):
        with pytest.raises(DataError, match=told):
            cb.error_rates(rows, "race", threshold=2.0)


def test_missing_seeds_are_nobody_and_counted():
    frame = both_kinds(20, 1).astype({"seed_a": object, "seed_b": object})
    frame.loc[[0, 5], "seed_a"] = [None, ""]
    rates = cb.error_rates(frame, "race", threshold=2.0)
    assert '"pairs with a member without seed": 2' in rates.attrs["left_out"]
    whole = cb.error_rates(frame.drop(index=[0, 5]), "race", threshold=2.0)
    assert rates["n"].equals(whole["n"])
    assert rates["rate"].equals(whole["rate"])


@pytest.mark.parametrize(
    "verb",
    [
        lambda one, by: cb.error_rates(one, by, threshold=2.0, draws=5),
        lambda one, by: cb.det(one, by, draws=5),
        lambda one, by: cb.equal_error_rate(one, by, draws=5),
        lambda one, by: cb.rates.rate_ratios(cb.error_rates(one, by, threshold=2.0, draws=5)),
        lambda one, by: cb.threshold_at(one, 0.2, by=by, per_group=True, draws=5),
    ],
)
def test_every_name_that_a_result_has_is_refused_as_a_group(verb):
    """Each variable, coordinate and dim of a result, as the name of the factor."""
    frame = both_kinds(24, 1)
    result = verb(frame, "race")
    for name in [*map(str, result.variables), "system"]:
        if name == "race":
            continue
        with pytest.raises(DataError, match="the result has something else called") as caught:
            verb(frame.rename(columns={f"race_{side}": f"{name}_{side}" for side in "ab"}), name)
        assert caught.value.column == name


@pytest.mark.parametrize("given", [5, None, [1], {"race"}])
def test_by_that_is_no_name_is_refused(given):
    with pytest.raises(DataError, match="by is"):
        cb.error_rates(both_kinds(12, 1), given, threshold=2.0)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["a ", " b", "a "], ["a", "b"]),
        (["1", "10", "2"], ["1", "2", "10"]),
        (pd.Categorical(["new", "base", "new"], ["new", "base"]), ["new", "base"]),
    ],
)
def test_groups_are_one_where_their_labels_are_and_in_order(labels, found):
    frame = both_kinds(24, 1)
    code = np.arange(24) % 3
    label = pd.Series(labels)[code].reset_index(drop=True)
    parts = {f"g_{side}": label.loc[frame[f"seed_{side}"]].reset_index(drop=True) for side in "ab"}
    rates = cb.error_rates(frame.assign(**parts), "g", threshold=2.0, draws=5)
    assert rates["g"].values.tolist() == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["b", "a "], ["a", "b"]),
        (["10", "2"], ["2", "10"]),
        (pd.Categorical(["base", "new"], ["new", "base"]), ["new", "base"]),
    ],
)
@pytest.mark.parametrize(
    "verb",
    [
        lambda one: cb.error_rates(one, "race", threshold=2.0, draws=5),
        lambda one: cb.det(one, "race", draws=5),
        lambda one: cb.rates.group_pair_rates(one, "race", threshold=2.0, draws=5),
        lambda one: cb.rates.score_histograms(one, "race"),
        lambda one: cb.threshold_at(one, 0.2, draws=5),
    ],
)
def test_systems_are_in_the_order_of_the_data(given, found, verb):
    frame = both_kinds(24, 1)
    systems = pd.concat([frame, frame], ignore_index=True)
    systems["system"] = pd.Series(given)[np.repeat([0, 1], len(frame))].reset_index(drop=True)
    assert verb(systems)["system"].values.tolist() == found


@pytest.mark.parametrize("alike", [("7", "7.0"), ("a", "a "), ("\u00e9", "e\u0301")])
@pytest.mark.parametrize("column", ["race"])
def test_labels_that_look_alike_are_refused_within_a_column_and_between_sides(alike, column):
    frame = both_kinds(12, 1).astype({f"{column}_{side}": object for side in "ab"})
    within, between = frame.copy(), frame.copy()
    within.loc[[0, 1], f"{column}_a"] = alike
    between.loc[0, f"{column}_a"], between.loc[0, f"{column}_b"] = alike
    for rows in (within, between):
        with pytest.raises(DataError, match="look the same"):
            cb.error_rates(rows, "race", threshold=2.0)


def test_a_code_in_the_place_of_a_distance_is_refused():
    frame = both_kinds(12, 1)
    frame.loc[[2, 5], "distance"] = 999
    with pytest.raises(DataError, match=r"row 3: 999 is far .*and 1 more row like it"):
        cb.error_rates(frame, "race", threshold=2.0)
