"""A column that is called as something in a result is refused, by every verb."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.draws.basis import BASIS, UNCONVERGED
from causalbias.draws.estimate import check_names

FORMULA = "y ~ `{race}` * `{pose}` + same_identity + (1|seed) + (1|seed:`{race}`)"


@cache
def fit_of(race="race", pose="pose"):
    """A fit whose factor and whose dose have these names."""
    random = np.random.default_rng(1)
    at = np.arange(144)
    rows = pd.DataFrame(
        {
            "seed": (at % 6).astype(str),
            race: np.array(list("abc"))[at // 6 % 3],
            pose: (at // 18 % 4).astype(float),
            "same_identity": at // 72 == 0,
            "y": random.normal(0, 1, 144),
        }
    )
    return cb.fit(FORMULA.format(race=race, pose=pose), rows, draws=20)


OF_A_FACTOR = {
    "predictions": lambda fit, name: cb.predictions(fit, name),
    "effects": lambda fit, name: cb.effects(fit, name),
    "effects by": lambda fit, name: cb.effects(fit, "pose", by=name),
    "counterfactual by": lambda fit, name: cb.counterfactual(
        fit, {"pose": 1.0}, {"pose": 0.0}, by=name
    ),
    "interaction": lambda fit, name: cb.interaction(fit, name, "same_identity"),
    "interaction between": lambda fit, name: cb.interaction(fit, "same_identity", name),
    "interaction by": lambda fit, name: cb.interaction(fit, "pose", "same_identity", by=name),
    "dose by": lambda fit, name: cb.dose(fit, "pose", by=name),
    "monotone dose by": lambda fit, name: cb.dose(fit, "pose", by=name, monotone="increasing"),
    "heterogeneity": lambda fit, name: cb.heterogeneity(fit, name),
    "discriminability by": lambda fit, name: cb.discriminability(fit, by=name),
    "compare": lambda fit, name: cb.compare(fit, fit, name),
    "compare by": lambda fit, name: cb.compare(fit, fit, "pose", by=name),
    "per_unit": lambda fit, name: cb.per_unit(*[cb.effects(fit, name)["effect"]] * 2),
    "equivalence": lambda fit, name: cb.equivalence(cb.effects(fit, name), (-1, 1)),
}


@pytest.mark.parametrize("verb", OF_A_FACTOR.values(), ids=OF_A_FACTOR)
def test_no_factor_may_have_the_name_of_something_in_the_result(verb):
    _refused_for_its_own_names(verb, "race")


@pytest.mark.parametrize("monotone", [None, "increasing"])
def test_no_dose_may_have_the_name_of_something_in_the_result(monotone):
    _refused_for_its_own_names(lambda fit, name: cb.dose(fit, name, monotone=monotone), "pose")


def _refused_for_its_own_names(verb, column):
    result = verb(fit_of(), column)
    names = set(map(str, result.variables)) - {"race", "pose", "same_identity", BASIS, UNCONVERGED}
    assert len(names) > 2  # no column of a formula begins with an underscore
    for name in sorted(names):
        with pytest.raises(DataError, match="rename the column") as caught:
            verb(fit_of(**{column: name}), name)
        assert caught.value.column == name


def test_no_variable_is_called_as_a_source_of_variance_that_is_none():
    sources = cb.variance_shares(fit_of())["source"].values.tolist()
    assert sources[-2:] == ["groups", "residual"]
    for name in sources[-2:]:
        with pytest.raises(DataError, match="rename the column"):
            cb.variance_shares(fit_of(name))


def test_a_name_that_only_other_verbs_have_in_their_results_is_a_column():
    found = cb.effects(fit_of("share_flipped"), "share_flipped")
    assert found["effect"].dims == ("chain", "draw", "share_flipped")


def test_what_cells_rest_on_is_refused_as_a_label_of_any_result():
    with pytest.raises(DataError, match="rename the column"):
        check_names([BASIS], [])


def test_labels_that_are_there_twice_are_refused():
    with pytest.raises(DataError, match="'race'"):
        check_names(["race", "race"], ["effect"])
    check_names(["race"], ["effect"])
