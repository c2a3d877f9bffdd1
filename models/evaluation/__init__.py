"""Evaluation of encoders: retrieval metrics, their confidence intervals, and reports."""
