"""What leaves the database after its time, or because it is to be erased."""
