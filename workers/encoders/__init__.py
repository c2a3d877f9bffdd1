"""The encoder that a machine works with, and migration to another."""
