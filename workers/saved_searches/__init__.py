"""Saved searches: their photos embedded, listings matched with them, matches sent."""
