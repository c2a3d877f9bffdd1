"""Things to wear and to care with."""
