"""Saved searches: what they ask for, their vectors, what they have found, what is still to send."""
