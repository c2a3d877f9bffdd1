"""The vector index: generations, fresh side, tombstones."""
