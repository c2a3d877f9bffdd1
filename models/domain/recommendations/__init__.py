"""What is recommended is said in: events, and what may be stated of a recommendation."""
