"""Searches by photos, by stored listings and photos, and their further pages."""
