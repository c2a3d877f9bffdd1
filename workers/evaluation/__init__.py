"""What evaluations read: the catalogue and its events, from the database and from files."""
