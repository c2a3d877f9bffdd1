"""Recommendations: what a buyer would open next, and why."""
