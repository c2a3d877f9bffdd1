"""What is recorded of callers: when keys were used, and who has changed what."""
