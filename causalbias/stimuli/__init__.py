"""Make stimuli: manifests, generators, latent directions, traversals, as ``cb.stimuli``."""

from causalbias.stimuli.directions import fit_directions, predicted_leaks
from causalbias.stimuli.generator import Generator, render, torch_generator
from causalbias.stimuli.manifest import read_manifest, write_manifest
from causalbias.stimuli.schematic import schematic, schematic_network, schematic_truth
from causalbias.stimuli.traversals import equal_steps, prototypes, traverse

__all__ = [
    "Generator",
    "equal_steps",
    "fit_directions",
    "predicted_leaks",
    "prototypes",
    "read_manifest",
    "render",
    "schematic",
    "schematic_network",
    "schematic_truth",
    "torch_generator",
    "traverse",
    "write_manifest",
]
