"""How far a claim depends on its prior, on single seeds, on a clean manipulation."""
