"""Own-group effects: a judgement may say of what group its annotator is."""

import numpy as np
import pandas as pd

import causalbias as cb


def test_annotators_group_is_a_column_like_any_other():
    rng = np.random.default_rng(4)
    groups = ["black", "white"]
    faces = pd.DataFrame(
        [
            {"seed": f"s{s}", "race": race, "stimulus": f"s{s}-{race}"}
            for s in range(12)
            for race in groups
        ]
    )
    people = pd.DataFrame(
        {"annotator": [f"a{i}" for i in range(20)], "annotator_race": np.tile(groups, 10)}
    )
    asked = faces.merge(people, how="cross")
    own = (asked["race"] == asked["annotator_race"]) * 8.0
    noise = rng.normal(0, 3, len(asked)) + rng.normal(0, 4, 20)[asked.index % 20]
    judgements = asked[["stimulus", "annotator", "annotator_race"]].assign(
        question="likeness", score=(50 + own + noise).clip(0, 100)
    )
    study = cb.make_study(
        stimuli=faces, judgements=judgements, factors=["seed", "race"], scales=(0, 100)
    )
    fit = cb.fit("score ~ race*annotator_race + (1|seed) + (1|annotator)", study)
    table = cb.summarise(cb.interaction(fit, "race", "annotator_race"))
    # faces of the own group score 8 higher: both contrasts differ by twice that
    assert table["lower"].item() < 16 < table["upper"].item()
    assert table["p_positive"].item() == 1
