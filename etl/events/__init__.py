"""Events from a file: read, checked and stored in batches."""
