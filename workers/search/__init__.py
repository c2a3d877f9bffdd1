"""Retrieval of listings for a query."""
