"""How photos of a job are embedded: together, or one by one where one of them ends workers."""
