"""The CausalFace release: names, tables and images of its files, read and written."""
