"""Engines that turn a model and data into posterior draws, and their diagnostics."""
