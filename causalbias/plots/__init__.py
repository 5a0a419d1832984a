"""Figures: one function each, effects in, matplotlib out."""
