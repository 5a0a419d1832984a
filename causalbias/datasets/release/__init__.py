"""The files of the CausalFace release: their names, reading and writing."""
