"""Generations of the index: when they are built, published and removed."""
