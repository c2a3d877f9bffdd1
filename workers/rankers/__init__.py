"""Weights of recommendations, learned from the events of the database."""
