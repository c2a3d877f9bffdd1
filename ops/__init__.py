"""Starts, supervises and stops the processes of one machine."""
