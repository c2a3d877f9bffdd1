"""From a feed's tables to clean rows."""
