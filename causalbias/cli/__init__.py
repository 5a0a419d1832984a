"""The command line: thin; everything that it does is one call of the package."""
