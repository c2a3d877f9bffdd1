"""Accepts embeddings of photos."""

from typing import Any

from api.deps import Resources
from api.jobs.service import accept_and_publish
from api.photos.service import store_photo
from db.tables import Job
from models.domain.types import JobType


def accept_embedding(resources: Resources, photo: bytes) -> Job:
    """Accept an embedding of a photo. Raises InvalidPhoto or UnsupportedPhoto."""
    stored = store_photo(resources, photo)
    return accept_and_publish(resources, JobType.EMBEDDING, _payload(stored.sha256), total=1)


def _payload(sha256: str) -> dict[str, Any]:
    return {"photo": sha256}
