"""Encoders, their embeddings, the changes that an index follows, and its generations."""
