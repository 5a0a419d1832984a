"""Designing an experiment: how many seeds, annotators and pairs for a given precision."""

from causalbias.design.power import power

__all__ = ["power"]
