"""The vector index: generations, fresh vectors, tombstones."""
