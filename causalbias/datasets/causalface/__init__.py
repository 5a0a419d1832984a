"""Read and write the CausalFace release: names, tables and images of its files."""
