"""Celery workers that embed photos, answer searches and build the index."""
