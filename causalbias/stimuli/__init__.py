"""Making the stimuli: designs, manifests, generators, latent directions, traversals."""

from causalbias.stimuli.generator import Generator, render, torch_generator
from causalbias.stimuli.manifest import read_manifest, write_manifest
from causalbias.stimuli.schematic import schematic, schematic_truth

__all__ = [
    "Generator",
    "read_manifest",
    "render",
    "schematic",
    "schematic_truth",
    "torch_generator",
    "write_manifest",
]
