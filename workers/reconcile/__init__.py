"""Database, photo store and index compared and repaired."""
