"""From images to scores: embedders, alignment, embeddings, all-pairs scores."""
