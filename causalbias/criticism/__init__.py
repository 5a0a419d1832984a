"""Whether a fit may be used: its draws, the data it would have made, and its priors."""
