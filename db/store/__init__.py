"""The photo store, and other files stored at the same URL."""
