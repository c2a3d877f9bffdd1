"""Looks whether this machine has what Marketlens needs, and says what to do where it has not."""
