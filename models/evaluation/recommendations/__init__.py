"""Offline evaluation of recommendations: replay of events, baselines, metrics and reports."""
