"""Calls that need an admin key: index generations, encoders, duplicates."""
