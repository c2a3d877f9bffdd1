"""Put a clean feed where it belongs."""
