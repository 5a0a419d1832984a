"""Whether a fit may be used: its draws, data, priors, and what single seeds decide."""
