"""Which encoder a machine works with, and the change to another."""
