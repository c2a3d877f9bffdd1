"""What each type of job does."""
