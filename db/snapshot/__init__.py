"""A consistent copy of the database in one SQLite file, and the way back."""
