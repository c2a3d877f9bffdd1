"""What crosses the queue, who publishes it, and who does it."""
