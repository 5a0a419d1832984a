"""`check` of models whose residual standard deviation has a formula."""

import numpy as np
import pandas as pd

import causalbias as cb


def test_unequal_spread_is_healed_by_a_formula_of_sigma():
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b"], 150)
    frame = pd.DataFrame({"y": np.where(group == "a", 1.0, 3.0) * rng.normal(size=300), "g": group})
    plain = cb.fit("y ~ g", frame, draws=300, chains=2)
    assert cb.check(plain).set_index("check").loc["spread by group", "verdict"] == "fail"
    healed = cb.check(cb.update(plain, sigma="~ g"))
    model = ["means by group", "tails", "spread by group", "skewness", "heavy tails"]
    assert (healed.set_index("check").loc[model, "verdict"] == "ok").all(), healed
