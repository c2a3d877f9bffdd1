"""What is done about events in the background."""
