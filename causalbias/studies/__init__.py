"""Published analyses as one call each."""
