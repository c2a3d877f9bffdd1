"""Listings, their photos, categories and places."""
