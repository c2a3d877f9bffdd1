"""The database and the photo store: tables, sessions, queries, jobs, migrations."""
