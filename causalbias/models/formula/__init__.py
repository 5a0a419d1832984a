"""Formulas: their language, what they mention, and their group terms."""
