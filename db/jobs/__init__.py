"""Jobs, owned by the database: accepted, claimed with an attempt and a lease, finished once."""
