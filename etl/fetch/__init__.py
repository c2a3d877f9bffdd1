"""Copy a feed from wherever it lies."""
