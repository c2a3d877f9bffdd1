"""Recommendations: what a user would open next, from the database, the index and the core."""
