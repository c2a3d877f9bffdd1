"""Bodies of requests while they come in and are worked on, bounded in memory and on disk."""
