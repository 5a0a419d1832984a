"""Estimands from posterior draws: predictions, contrasts, ratios, ranks."""
