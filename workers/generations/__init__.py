"""Generations of the index: when they are built, published, removed."""
