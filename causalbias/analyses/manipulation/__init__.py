"""Perceived change against network distance."""
