"""What a report's terms and its tables' columns mean."""

COMMON = {
    "attribute": "Something of a face that was changed on purpose, as age, pose or light.",
    "level": "How far an attribute was pushed; a number on the generator's own scale.",
    "seed": "The number from which the generator draws a person. Faces of one seed differ only in "
    "what was changed on purpose.",
    "network": "A program for face recognition. It turns each picture into numbers and compares "
    "them.",
    "distance": "How unlike two pictures are to a network: the smaller, the more alike.",
    "threshold": "The distance at which a network decides: two pictures nearer than that are taken "
    "for one person.",
    "estimate, interval": "The estimate is the best single guess (posterior median). The interval "
    "is a range that holds the true value with the stated probability, given the model and the "
    "data. A wide one means that little is known.",
    "model": "The formula by which the effect of a change is told from differences between persons "
    "and between raters, and from chance.",
    "converged": "The calculation passed its own tests (R-hat, effective sample size, weights). "
    "Where it did not, its numbers are not to be used.",
}
MANIPULATION = {
    "perceived change": "By how many points people's mean score changes when an attribute is "
    "pushed from its lowest to a higher level.",
    "distance per point": "Distance divided by perceived change: how far a network moves for each "
    "point that people notice.",
    "unbounded": "A ratio that cannot be stated, since what it is divided by may be zero.",
}
IDENTITY = {
    "genuine pair": "Two pictures of one person.",
    "impostor pair": "Pictures of two persons, here of one race and gender.",
    "false match": "A network takes two persons for one. Its rate (FMR) is the share of impostor "
    "pairs to which this happens.",
    "false non-match": "A network takes two pictures of one person for two persons. Its rate "
    "(FNMR) is the share of genuine pairs to which this happens.",
    "reference": "The group that the others are compared with.",
    "effective comparisons": "Pairs that share a face are not separate evidence: this is how many "
    "separate ones would tell as much.",
}

COLUMNS = {
    "annotators": "people who rated",
    "beyond": "share of pairs beyond the threshold; beyond_lower, beyond_upper: its interval",
    "bounded": "whether the perceived change is surely not zero, so that the ratio has an interval",
    "bytes": "size of the file",
    "check": "what was checked",
    "clear": "whether the interval leaves zero out",
    "converged": "whether the model passed its diagnostics",
    "count": "rows",
    "covered": "whether the interval holds the truth",
    "deft": "how many times too short a plain binomial interval would be",
    "diagnosis": "whether prior and data pull apart (a tick: the prior matters little)",
    "disjoint": "comparisons that share no seed, at most",
    "engine": "how the posterior was computed",
    "estimate": "best single guess (posterior median; in checks of manipulations, the mean)",
    "faces": "faces tried",
    "errors": "wrong decisions seen",
    "failed": "comparisons, or faces, without a result",
    "failures": "edits beyond the threshold",
    "few_identities": "whether 5% of the seeds have most of the errors: the interval is too short",
    "file": "where it was read",
    "fit": "network or people, and kind of pairs",
    "formula": "the model, as in lme4 and brms",
    "greatest": "see least",
    "groups": "seeds, or raters",
    "least": "least and greatest: of the estimates without each seed, or rater, in turn",
    "likelihood": "how far the estimate moves with somewhat more or fewer data of the same kind",
    "low": "low, high: the range of what passes",
    "lower": "lower, upper: ends of the interval",
    "max_r_hat": "R-hat, the worst: above 1.01 draws disagree",
    "measure": "network, or people's mean confidence (HCIC)",
    "hint": "what to do about it",
    "min_ess_bulk": "effective sample size of the draws, least, for estimates",
    "min_ess_tail": "the same for ends of intervals",
    "most": "the seed, or rater, whose absence moves the estimate farthest",
    "n": "rows averaged over, or comparisons",
    "n_edits": "edited faces",
    "n_effective": "independent comparisons that would tell the rate as well",
    "n_raters": "people who rated",
    "of": "the quantity that is worst",
    "over": "over what the average is taken",
    "overturned": "without how many of them the interval would leave zero out and now does not, or "
    "the other way round",
    "own": "whether the attribute asked about is the one that was manipulated",
    "population": "whose mean it is: new, of the population of seeds; these, of those seen",
    "p": "probability of so extreme a value, were the model right",
    "p_positive": "posterior probability of being above zero",
    "p_above_one": "posterior probability of being above one",
    "p_sign": "posterior probability that the perceived change has its likelier sign",
    "pairs": "genuine: of one person; impostor: of two",
    "prior": "how far the estimate moves with another strength of the prior (below 0.05: hardly)",
    "question": "what people were asked about",
    "rate": "share of edits beyond the threshold",
    "rate_of": "FMR: two persons taken for one; FNMR: one taken for two",
    "reason": "why it was left out",
    "reference": "level or group compared with",
    "rows": "rows of data",
    "scale": "unit of the estimate; response: that of the data",
    "sd": "posterior standard deviation",
    "sha256": "fingerprint of the file's content",
    "shift": "by how many posterior standard deviations that is",
    "side": "people (human) or network (machine)",
    "smallest_rate": "3 over n_effective, below which no rate is reported (rule of three)",
    "source": "file read, by number",
    "status": "why there is no result",
    "supported": "whether enough errors were seen to state a rate",
    "system": "network",
    "threshold": "distance at which the network decides",
    "tried": "without how many of them the estimate is known without fitting again",
    "truth": "what was put into the simulation",
    "value": "what was measured",
    "top_share": "share of the errors that involve the 5% of seeds with the most errors",
    "verdict": "passed, or what failed: the draws' own tests and the checks against the data",
    "what": "what was left out",
    "within_30_percent": "whether there are 30 errors' worth (the rule of thirty)",
}
