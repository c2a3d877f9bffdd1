"""Questions that are asked in a terminal: searches, and recommendations."""
