"""The memory: tables, sessions, queries, jobs, photos, migrations."""
