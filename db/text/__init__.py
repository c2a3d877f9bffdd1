"""The words of listings: written with them, and searched."""
