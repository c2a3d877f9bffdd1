"""The hands: Celery workers that embed, search and build the index."""
