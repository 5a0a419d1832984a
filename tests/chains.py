"""What a test may ask of one run of NUTS, on any machine."""

import causalbias as cb


def mixed(fit: cb.Fit) -> bool:
    """Whether the chains of a fit agree, but for what happens to a right run by chance.

    R-hat of a standard deviation of effects passes its limit of 1.01 in about one of twelve runs of
    1,000 draws that are right, and a few transitions diverge in as many.
    """
    table = cb.summary(fit)
    few = int(fit["sample_stats"]["diverging"].sum()) < 10
    return bool(few and table["r_hat"].max() < 1.03 and table["ess_bulk"].min() > 300)
