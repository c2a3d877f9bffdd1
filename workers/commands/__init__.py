"""The commands that need workers or their indexes, one module per subject."""
