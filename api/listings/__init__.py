"""Listings: create, replace, change, read, delete, in bulk."""
