"""What the processes tell of themselves: logs, metrics, traces. Any package may import this."""
