"""Draws a sample catalogue of product-like photos."""
