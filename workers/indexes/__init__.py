"""Indexes that follow the database."""
