"""Simulated tables of scores: their rates are those asked for, and they are read as a benchmark."""

import numpy as np
import pytest

import causalbias as cb
from causalbias.errors import DataError

RATES = {
    "bupt": {"x": (0.05, 0.20), "y": (0.10, 0.40)},
    "vgg": {"x": (0.20, 0.10), "y": (0.02, 0.30)},
}


def test_shares_of_wrong_pairs_are_the_rates_asked_for_and_persons_make_them_vary():
    table = cb.simulation.simulate_scores(RATES, persons=4000, pairs=8000, shared=0.5)
    group = table["Class_ID_s1"].str[0]
    for system, own in RATES.items():
        match = table[f"{system}_cos_dist"] <= 0.5
        for name, (fmr, fnmr) in own.items():
            part = group == name
            false = match[part & ~table["issame"]].mean()
            missed = 1 - match[part & table["issame"]].mean()
            # Of 8,000 pairs of 4,000 persons: five binomial standard errors of half as many.
            assert false == pytest.approx(fmr, abs=5 * np.sqrt(fmr * (1 - fmr) / 4000))
            assert missed == pytest.approx(fnmr, abs=5 * np.sqrt(fnmr * (1 - fnmr) / 4000))
    persons = table[table["issame"] & (group == "x")].groupby("Class_ID_s1")["bupt_cos_dist"]
    several = persons.size() == 2
    first, last = (getattr(persons, which)()[several] for which in ("first", "last"))
    assert np.corrcoef(first, last)[0, 1] == pytest.approx(0.5, abs=0.1)
    assert (table["Class_ID_s1"] != table["Class_ID_s2"]).equals(~table["issame"])


def test_a_folder_of_them_is_read_as_the_published_pairs_are(tmp_path):
    table = cb.simulation.simulate_scores(RATES, persons=20, pairs=30)
    for group, part in table.groupby(table["Class_ID_s1"].str[0]):
        part.to_csv(tmp_path / f"race_{group}.csv", index=False)
    scores = cb.datasets.read_scores(tmp_path)
    assert (scores.systems, scores.by, len(scores.frame)) == (["bupt", "vgg"], ["race"], 240)
    assert scores.excluded.empty


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"persons": 1}, "persons"),
        ({"shared": 1}, "shared"),
        ({"threshold": 0.1}, "too near zero"),
        ({"rates": {"s": {"x": (0.1, 0.1)}, "t": {"y": (0.1, 0.1)}}}, "different groups"),
        ({"rates": {"s": {"x": (0.0, 0.1)}}}, "rates"),
    ],
)
def test_what_cannot_be_simulated_is_refused(how, said):
    with pytest.raises(DataError, match=said):
        cb.simulation.simulate_scores(**{"rates": RATES, **how})


@pytest.mark.parametrize("rates", [{"u": {"a": 0.02}}, {"u": 0.1}, 3, {"u": {"a": (0.1,)}}, {}])
def test_rates_that_are_no_pairs_are_refused(rates):
    with pytest.raises(DataError, match=r"rates|systems"):
        cb.simulation.simulate_scores(rates)


def test_systems_of_any_name_are_read_as_the_docstring_says():
    table = cb.simulation.simulate_scores(
        {"u": {"a": (0.02, 0.1)}, "v": {"a": (0.1, 0.1)}}, pairs=20
    )
    found = cb.datasets.read_scores(
        table, person="{group}/{id}", group="group", score=["u_cos_dist", "v_cos_dist"]
    )
    assert (found.systems, found.by) == (["u", "v"], ["group"])
    assert found.frame["same_identity"].groupby(found.frame["system"]).sum().tolist() == [20, 20]
