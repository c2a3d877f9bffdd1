"""Listings: create, replace, read, delete, in bulk."""
