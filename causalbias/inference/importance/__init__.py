"""Importance sampling over the scales of a model, for every engine that needs it."""
