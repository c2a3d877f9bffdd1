"""Embeddings of photos."""
