"""Recognition: from images to embeddings and the distances of a study.

Nothing is imported here: dlib, scikit-image, onnxruntime and torch load where they are used.
"""
