"""The photo store, and files that are kept beside the photos."""
