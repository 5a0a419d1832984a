"""What the estimates of an analysis depend on, in one table."""

import numpy as np
import pytest

import causalbias as cb
from causalbias.analyses import analyse_identity, analyse_manipulation
from causalbias.analyses.identity.report import dependence_of as identity_dependence
from causalbias.analyses.manipulation.report import dependence_of as manipulation_dependence


@pytest.mark.slow
def test_every_change_that_people_see_is_in_it():
    result = analyse_manipulation(cb.demo_study(), draws=250)
    table = manipulation_dependence(result)
    human = cb.summarise(result.human)
    assert len(table) == len(human)
    both = table.assign(attribute=table["fit"].str.removeprefix("human: ")).merge(
        human, on=["attribute", "level"]
    )
    np.testing.assert_allclose(both["estimate_x"], both["estimate_y"], rtol=0.02, atol=0.05)
    assert (table["least"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["greatest"]).all()
    # A rater without whom slopes differ by much is not carried by the weights, and not counted.
    assert (table["groups"] - table["tried"]).max() <= 1


@pytest.mark.slow
def test_single_seeds_are_told_of_genuine_pairs_and_not_of_pairs_of_two():
    systems = tuple(cb.simulation.System(name) for name in ("one", "other"))
    study = cb.simulate(
        seeds=6, levels={"pose": [-3, 0, 3]}, impostors=12, people=None, systems=systems
    )
    table = identity_dependence(analyse_identity(study, draws=250))
    genuine = table["fit"].str.endswith(", genuine")
    # two systems and their difference; of impostor pairs, their differences from genuine ones too
    assert genuine.sum() == 3 * 4
    assert (~genuine).sum() == 5 * 4
    assert (table.loc[genuine, "tried"] > 0).all()
    assert (table.loc[~genuine, "tried"] == 0).all()
    assert table.loc[~genuine, "overturned"].isna().all()
    assert table["diagnosis"].notna().all()
