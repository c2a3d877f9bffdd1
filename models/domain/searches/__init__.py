"""What a search may state beside what it looks for."""
