"""Architectures of published networks, with the names and shapes of weights in checkpoints."""
