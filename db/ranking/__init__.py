"""What recommendations are ranked by: learned weights, and which are in use."""
