"""The exact engine of Gaussian models: coefficients and effects integrated out."""
