"""What the terms and columns mean that the reports of all analyses share.

An analysis adds its own: `Content.glossary`, `Content.columns`.
"""

TERMS = {
    "attribute": "A property of a face that was changed on purpose, such as age, pose or light.",
    "level": "How far an attribute was pushed; a number on the generator's own scale.",
    "seed": "The number from which the generator draws a person. Faces of one seed differ only in "
    "what was changed on purpose.",
    "network": "A program for face recognition. It turns each picture into numbers and compares "
    "them.",
    "distance": "How different two pictures are to a network: the smaller, the more alike.",
    "threshold": "The distance at which a network decides: two pictures at this distance or nearer "
    "are taken for one person.",
    "estimate, interval": "The estimate is the best single guess (posterior median). The interval "
    "is a range that contains the true value with the stated probability, given the model and the "
    "data. A wide interval means that little is known.",
    "model": "The formula that separates the effect of a change from differences between persons, "
    "differences between raters, and chance.",
    "converged": "The calculation of a model passed its diagnostics (R-hat, effective sample size, "
    "importance weights). Do not use the numbers of a model that did not converge.",
}

COLUMNS = {
    "annotators": "number of people who rated",
    "beyond": "share of pairs beyond the threshold; beyond_lower, beyond_upper: its interval",
    "bounded": "whether the interval of the perceived change excludes zero, so that the ratio has "
    "an interval",
    "bytes": "size of the file",
    "check": "what was checked",
    "clear": "whether the interval excludes zero",
    "converged": "whether the model passed its diagnostics",
    "count": "number of rows",
    "covered": "whether the interval contains the truth",
    "deft": "square root of the design effect: how many times too short a binomial interval of "
    "independent pairs would be",
    "detector": "method that found the faces before they were cropped",
    "diagnosis": "whether prior and data conflict (a tick: the prior matters little)",
    "disjoint": "largest number of comparisons of which no two share a seed",
    "engine": "how the posterior was computed",
    "errors": "number of wrong decisions",
    "estimate": "best single guess (posterior median; the mean in manipulation checks)",
    "faces": "number of faces that were to be enrolled",
    "failed": "comparisons, or faces, without a result",
    "few_identities": "whether 5% of the seeds have most of the errors, so that the interval is "
    "too short",
    "file": "the file that was read",
    "fit": "name of the model",
    "formula": "formula of the model, as in lme4 and brms",
    "greatest": "largest of the estimates without one seed, or rater",
    "groups": "number of seeds, or raters",
    "hint": "how to resolve it",
    "update": "the line that fits a model which answers it, of a fit called fit",
    "least": "smallest of the estimates without one seed, or rater",
    "likelihood": "change of the estimate with somewhat more or fewer data of the same kind",
    "low": "low, high: the range of values that pass",
    "lower": "lower, upper: ends of the interval",
    "max_r_hat": "largest R-hat: above 1.01 the chains disagree",
    "measure": "a network's distance, or people's mean confidence (HCIC)",
    "min_ess_bulk": "smallest effective sample size of the draws, for estimates",
    "min_ess_tail": "smallest effective sample size of the draws, for the ends of intervals",
    "most": "the seed, or rater, without which the estimate changes most",
    "n": "number of rows in the average, or of comparisons",
    "n_effective": "number of independent comparisons that would give an interval as short",
    "of": "the quantity with the most extreme value",
    "over": "what the average is taken over",
    "overturned": "number of seeds, or raters, without which the interval would include zero "
    "instead of excluding it, or the reverse",
    "own": "whether the attribute asked about is the one that was manipulated",
    "p": "probability of a value as extreme if the model is right",
    "p_above_one": "posterior probability of being above one",
    "p_positive": "posterior probability of being above zero",
    "p_sign": "posterior probability that the perceived change has the sign of its estimate",
    "pairs": "genuine: two pictures of one person; impostor: pictures of two persons",
    "population": "the population whose mean it is: new: all seeds; these: the seeds in the study",
    "prior": "change of the estimate with a stronger or weaker prior (below 0.05: negligible)",
    "question": "what people were asked about",
    "rate_of": "FMR: two persons taken for one; FNMR: one person taken for two",
    "reason": "why it was excluded",
    "reference": "level or group that the others are compared with",
    "rows": "number of rows of data",
    "scale": "unit of the estimate; response: the unit of the data",
    "sd": "posterior standard deviation",
    "sha256": "fingerprint of the file's content",
    "shift": "change of the estimate without that seed, or rater, in posterior standard deviations",
    "smallest_rate": "3 divided by n_effective: smaller rates are not stated (rule of three)",
    "source": "number of the file",
    "status": "why there is no result",
    "supported": "whether there were enough errors to state a rate",
    "system": "network",
    "threshold": "distance up to which a network takes two pictures for one person",
    "top_share": "share of the errors that involve the 5% of seeds with most errors",
    "tried": "number of seeds, or raters, without which the estimate is known without a new fit",
    "truth": "value that was put into the simulation",
    "value": "what was measured",
    "verdict": "passed, or which diagnostics of the draws or checks against the data failed",
    "what": "what was excluded",
    "within_30_percent": "whether there are as many errors as 30 independent ones (the rule of "
    "thirty)",
}
