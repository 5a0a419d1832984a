"""A published analysis as one call: from a study to estimates, figures and words."""
