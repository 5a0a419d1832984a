"""Rows of larger experiments: what belongs to a seed is new with it, and pairs are dealt evenly."""

import numpy as np
import pandas as pd
import pytest

from causalbias import DataError
from causalbias.design.enlarge import Enlarger
from causalbias.models.formula.limits import Limits
from causalbias.models.specification import ModelSpec

SEEDS, FACES = 6, ["asian", "black"]


@pytest.fixture
def pairs():
    """Each two of six seeds, once as asian and once as black faces; the order of members varies."""
    rng = np.random.default_rng(3)
    rows = []
    for one in range(SEEDS):
        for other in range(one + 1, SEEDS):
            a, b = rng.permutation([one, other])
            rows += [(f"s{a}", f"s{b}", race) for race in FACES]
    frame = pd.DataFrame(rows, columns=["seed_a", "seed_b", "race"])
    for side in "ab":
        frame[f"face_{side}"] = frame[f"seed_{side}"] + frame["race"]
    pair = frame[["seed_a", "seed_b"]].min(axis=1) + frame[["seed_a", "seed_b"]].max(axis=1)
    annotator = [f"person {at % 3}" for at in range(len(frame))]
    return frame.assign(pair=pair, annotator=annotator, y=rng.normal(size=len(frame)))


FORMULA = "y ~ race + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b)) + (1|pair) + (1|annotator)"
OVER = ["seed_a", "seed_b"]


@pytest.mark.parametrize("size", [2, 3, 6, 7, 20])
def test_pairs_are_of_two_seeds_that_are_in_equally_many(pairs, size):
    rows = Enlarger(ModelSpec(FORMULA), pairs, OVER).rows(size, None, np.random.default_rng(1))
    assert (rows["seed_a"] != rows["seed_b"]).all()
    blocks = rows.groupby("pair")
    # A pair has all rows of one of the pilot's: both races, of the same two seeds.
    assert (blocks["race"].nunique() == 2).all()
    assert (blocks.size() == 2).all()
    ends = pd.DataFrame(np.sort(rows[OVER].to_numpy(str), axis=1)).drop_duplicates()
    assert len(ends) == blocks.ngroups == min(round(size * 15 / 6), size * (size - 1) // 2)
    many = pd.Series(ends.to_numpy().ravel()).value_counts()
    assert len(many) == size
    assert many.max() - many.min() <= 2


def test_a_seeds_face_is_one_in_all_its_pairs(pairs):
    rows = Enlarger(ModelSpec(FORMULA), pairs, OVER).rows(12, None, np.random.default_rng(1))
    faces = pd.concat(
        [
            rows[[f"seed_{side}", "race", f"face_{side}"]].set_axis(
                ["seed", "race", "face"], axis=1
            )
            for side in "ab"
        ]
    )
    assert faces["face"].nunique() == 24
    assert (faces.groupby("face")[["seed", "race"]].nunique() == 1).all(axis=None)


def test_a_pair_keeps_which_member_was_which(pairs):
    """What is measured on one side stays with that side's seed."""
    one = pairs.assign(first=(pairs["seed_a"] < pairs["seed_b"]).astype(float))
    rows = Enlarger(ModelSpec(FORMULA.replace("race +", "race + first +")), one, OVER).rows(
        9, None, np.random.default_rng(1)
    )
    for _, block in rows.groupby("pair"):
        assert block["first"].nunique() == 1
        assert block["seed_a"].nunique() == 1


def test_rows_each_makes_more_pairs_or_says_there_are_none(pairs):
    larger = Enlarger(ModelSpec(FORMULA), pairs, OVER)
    few, many = (larger.rows(20, each, np.random.default_rng(1)) for each in (4, 16))
    assert (len(few), len(many)) == (40, 160)
    with pytest.raises(DataError, match=r"4 make 6 pairs.*6 rows each at most"):
        larger.rows(4, 100, np.random.default_rng(1))


def test_what_belongs_to_a_seed_is_new_with_each_copy():
    frame = pd.DataFrame(
        {
            "seed": np.repeat(["a", "b"], 4),
            "race": ["x", "y"] * 4,
            "face": np.repeat(["a1", "a2", "b1", "b2"], 2),
            "system": ["u", "v"] * 4,
            "y": np.arange(8.0),
        }
    )
    spec = ModelSpec("y ~ race + (1|seed) + (1|face) + (1|system)")
    rows = Enlarger(spec, frame, ["seed"]).rows(5, None, np.random.default_rng(1))
    assert len(rows) == 20
    assert rows["face"].nunique() == 10
    assert rows["system"].nunique() == 2
    assert (rows.groupby("face")["seed"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("formula", "change", "over", "told"),
    [
        (FORMULA, {}, ["seed"], r"no effects of 'seed' \(it has mm\(seed_a, seed_b\)"),
        (FORMULA, {"seed_b": "s0", "seed_a": "s0"}, OVER, "have the same seed_a and seed_b"),
        (FORMULA.replace("race +", ""), {}, OVER, "do not distinguish the levels of face_a"),
        (FORMULA, {}, [*OVER, "pair"], "3 columns"),
    ],
)
def test_refused(pairs, formula, change, over, told):
    with pytest.raises(DataError, match=told):
        Enlarger(ModelSpec(formula), pairs.assign(**change), over).rows(
            4, None, np.random.default_rng(1)
        )


def test_only_columns_bound_to_nothing_are_dealt_anew(pairs):
    larger = Enlarger(ModelSpec(FORMULA), pairs, OVER)
    larger.check_dealt("annotator")
    with pytest.raises(DataError, match="not another grouping column"):
        larger.check_dealt("race")
    bound = pairs.assign(annotator=pairs["race"] + "'s own")
    with pytest.raises(DataError, match="each annotator has a single race"):
        Enlarger(ModelSpec(FORMULA), bound, OVER).check_dealt("annotator")


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("y ~ (1|seed) + (1|seed:race)", parts={"sigma": "race"}),
        ModelSpec(
            "answer ~ (1|seed) + (1|seed:race)", family="cumulative", limits=Limits(group="race")
        ),
    ],
    ids=["of sigma", "of thresholds"],
)
def test_columns_of_every_part_of_a_model_keep_their_levels(spec):
    """Others, which only name levels of group terms, have new names where seeds are new."""
    seed, race = np.repeat(["a", "b", "c"], 8), np.tile(FACES, 12)
    answer = pd.Categorical(np.arange(24) // 2 % 3, ordered=True)
    frame = pd.DataFrame({"seed": seed, "race": race, "y": np.arange(24.0), "answer": answer})
    rows = Enlarger(spec, frame, ["seed"]).rows(5, None, np.random.default_rng(1))
    assert rows["seed"].nunique() == 5
    assert set(rows["race"]) == set(FACES)
