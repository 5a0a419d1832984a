"""Model specifications and fits."""
