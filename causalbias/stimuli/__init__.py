"""Making the stimuli: designs, manifests, generators, latent directions, traversals."""
