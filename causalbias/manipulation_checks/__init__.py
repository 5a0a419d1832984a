"""Checks of manipulations, as ``cb.checks``: dose, leaks, identity, quality, duplicates."""
