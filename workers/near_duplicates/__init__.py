"""Near duplicates in the catalogue."""
