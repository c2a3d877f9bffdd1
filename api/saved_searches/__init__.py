"""Saved searches: what new listings are matched with, and what was found."""
