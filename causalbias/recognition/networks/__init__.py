"""Architectures of published networks, as their checkpoints name and shape the weights."""
