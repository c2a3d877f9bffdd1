"""Predictions of category and price."""
