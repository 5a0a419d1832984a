"""Posterior draws of estimands: summaries, hypotheses, tables."""
