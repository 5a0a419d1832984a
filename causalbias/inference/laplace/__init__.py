"""The engine of ordinal and binary models: nested Laplace, importance-weighted."""
